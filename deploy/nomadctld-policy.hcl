# What the Nomad token of a tier has to be allowed, and no more.
#
# not run: a cluster of yours takes it; deploy_test.go makes policy and token in its own
#
#   nomad acl policy apply nomadctld nomadctld-policy.hcl
#   nomad acl token create -name nomadctld -policy nomadctld
#
# Who of its users may do what with it is decided by the gateway. A command for which a capability is missing says which;
# so take away what nobody is to do.

namespace "*" {
  capabilities = [
    # @read: ps, batch, pstree, info, status, inspect, history, deployment, logs, tail.
    "list-jobs",
    "read-job",
    "read-logs",

    # @enter: exec through Nomad.
    "alloc-exec",

    # exec into tasks that nothing isolates from their node, those of raw_exec. Such a shell runs as the user of Nomad's
    # client agent: it is root on the node. It reads the files and tokens of every other job there, whosever they are. The
    # prefixes of the gateway end where a job of a user has such a task. Without this, Nomad refuses that exec.
    # "alloc-node-exec",

    # @operate: stop, start, restart --full, restart of failed allocations, revert, promote, fail, pause, resume; scale and
    # run too, for which scale-job and dispatch-job would be enough.
    "submit-job",
    # dispatch.
    "dispatch-job",
    # restart, signal, and stop of one allocation.
    "alloc-lifecycle",
  ]
}

# Only if the Docker daemons are named by {address} in docker.host, which is looked up in the node.
# node {
#   policy = "read"
# }
