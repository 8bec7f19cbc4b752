# The Nomad ACL policy for the token of a tier, for Nomad 1.11.2 and later. It has no capability to register jobs, so
# somebody who gets the token cannot run programs of their own as root on the nodes. Other policies:
#
# nomadctld-policy-register.hcl: also for start, restart --full and ops --restore.
# nomadctld-policy-before-1.11.2.hcl: for older versions of Nomad, which refuse this policy.
#
# No test runs these commands: they need your cluster. policy_test.go creates the policies and tokens in a test cluster.
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

    # @operate: restart, signal, and stop of one allocation.
    "alloc-lifecycle",
    # scale, and stop of a group.
    "scale-job",
    # stop.
    "deregister-job",
    # stop --purge, which is in @admin.
    # "purge-job",
    # revert. If it keeps the current counts, or if Nomad no longer has the version, it needs register-job.
    "revert-job",
    # restart of failed allocations.
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
