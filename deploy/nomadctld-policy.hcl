# The Nomad ACL policy for the token of a tier: the capabilities that the gateway needs, and no others.
#
# No test runs these commands: they need your cluster. deploy_test.go creates the policy and a token in a test cluster.
#
#   nomad acl policy apply nomadctld nomadctld-policy.hcl
#   nomad acl token create -name nomadctld -policy nomadctld
#
# The gateway decides which user may run which command. If a capability is missing, the commands that need it name it in
# their error. Remove the capabilities of commands that nobody should run.

namespace "*" {
  capabilities = [
    # @read: ps, batch, pstree, info, status, inspect, history, deployment, logs, tail.
    "list-jobs",
    "read-job",
    "read-logs",

    # @enter: exec through Nomad.
    "alloc-exec",

    # exec into tasks that are not isolated from their node, such as raw_exec tasks. Such a shell runs as the user of
    # Nomad's client agent, which is root on most nodes. It can read the files and tokens of all jobs on that node, so
    # the gateway's prefixes no longer protect them. Without this capability, Nomad refuses exec into these tasks.
    # "alloc-node-exec",

    # @operate: stop, start, restart --full, restart of failed allocations, revert, promote, fail, pause, resume. Also
    # scale and run, for which scale-job and dispatch-job would be enough.
    "submit-job",
    # dispatch.
    "dispatch-job",
    # restart, signal, and stop of one allocation.
    "alloc-lifecycle",
  ]
}

# Needed if docker.host contains {address}: the gateway reads the node to get its address. With it, info also shows
# whether the node is drained or not eligible.
# node {
#   policy = "read"
# }
