# The Nomad ACL policy for the token of a tier, for Nomad 1.11.2 and later, with start, restart --full and ops
# --restore. These commands register jobs. Somebody who gets the token can register any job, such as one that runs as
# root on the nodes. If you do not need these commands, use nomadctld-policy.hcl.
#
# No test runs these commands: they need your cluster. policy_test.go creates the policies and tokens in a test cluster.
#
#   nomad acl policy apply nomadctld nomadctld-policy-register.hcl
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

    # @operate: restart, signal, and stop of one allocation.
    "alloc-lifecycle",
    # scale, and stop of a group.
    "scale-job",
    # stop.
    "deregister-job",
    # stop --purge, which is in @admin.
    # "purge-job",
    # revert, unless it keeps the current counts or Nomad no longer has the version.
    "revert-job",
    # start, restart --full, ops --restore, other reverts, and restart of failed allocations that the job does not let
    # Nomad replace.
    "register-job",
    # restart of other failed allocations.
    "evaluate-job",
    # promote, fail, pause and resume.
    "promote-deployment",
    "fail-deployment",
    "pause-deployment",
    # dispatch and run.
    "dispatch-job",
  ]
}

# Only if docker.host contains {address}: the gateway reads the node to get its address.
# node {
#   policy = "read"
# }
