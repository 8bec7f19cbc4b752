# The Nomad ACL policy for the token of a tier, for Nomad before 1.11.2. submit-job is the capability to register any
# job, such as one that runs as root on the nodes. These versions need it for stop, revert and deployments too. Newer
# versions have a capability for each of these: use nomadctld-policy.hcl with them.
#
# No test runs these commands: they need your cluster. policy_test.go creates the policies and tokens in a test cluster.
#
#   nomad acl policy apply nomadctld nomadctld-policy-before-1.11.2.hcl
#   nomad acl token create -name nomadctld -policy nomadctld

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

# Only if docker.host contains {address}: the gateway reads the node to get its address.
# node {
#   policy = "read"
# }
