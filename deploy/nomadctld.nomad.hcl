# Two gateways on the machines of the Nomad servers. Their configuration and secrets are in one Nomad variable, which
# the tasks of this job can read without a token. To replace an existing variable, add
# -force to nomad var put.
#
# No test runs these commands: they need your image and your cluster. deploy_test.go validates the job.
#
#   nomad acl policy apply nomadctld nomadctld-policy.hcl
#   ssh-keygen -t ed25519 -N '' -f hostkey
#   nomad acl token create -name nomadctld -policy nomadctld -t '{{.SecretID}}' >token
#   nomad var put -out none nomad/jobs/nomadctld config=@nomadctld.toml hostkey=@hostkey token=@token
#   nomad job run -var image=registry.example/nomadctld:v1 nomadctld.nomad.hcl
#
# Use these paths in the configuration: hostkey = "/secrets/hostkey", token = "/secrets/token" and, in [audit], file =
# "/alloc/data/audit.jsonl". The jobs directory is then /alloc/data/jobs. If you collect the output of tasks, use file =
# "-" and jobs = "/alloc/data/jobs" instead. For each further token, add an item to the variable and a template here.
#
# Each instance has its own list of operations. The commands ops and ops --restore ID see only the instance that you are
# logged in to, and a restart blocks a second restart of the same job only there. Give users a host name of one instance
# and keep the other one as a spare, or set count = 1.

variable "image" {
  type        = string
  description = "The image that make image builds, in a registry that the nodes can pull from."
}

variable "port" {
  type        = number
  default     = 2222
  description = "The port of the gateway on its nodes, as in general.bind."
}

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

job "nomadctld" {
  datacenters = var.datacenters
  type        = "service"

  # On the machines of the Nomad servers, so that url can be a loopback address. Mark the clients on those machines with
  # client { meta { nomad_server = true } }, or remove this constraint to run the gateway on any client.
  constraint {
    attribute = "${meta.nomad_server}"
    value     = "true"
  }

  # At most one per machine, so that the loss of one machine leaves a gateway.
  constraint {
    operator = "distinct_hosts"
    value    = "true"
  }

  # One at a time, so that users can always log in to the other.
  update {
    max_parallel     = 1
    min_healthy_time = "10s"
    healthy_deadline = "2m"
    auto_revert      = true
  }

  group "gateway" {
    count = 2

    # Time between deregistration of the service and SIGTERM, so that no new connections arrive at a stopping gateway.
    shutdown_delay = "3s"

    network {
      mode = "host"
      port "ssh" {
        static = var.port
      }
    }

    # Jobs that restart --full saved, and the audit log, must survive an update of this job.
    ephemeral_disk {
      sticky  = true
      migrate = true
      size    = 300
    }

    service {
      name     = "nomadctld"
      port     = "ssh"
      provider = "nomad"
      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "3s"
      }
    }

    task "nomadctld" {
      driver = "docker"
      user   = "65532:65532"

      # After SIGTERM, the gateway may need 17 seconds: 5 for running commands, 12 to kill programs.
      kill_signal  = "SIGTERM"
      kill_timeout = "20s"

      config {
        image           = var.image
        args            = ["-config", "/secrets/nomadctld.toml"]
        network_mode    = "host"
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        pids_limit      = 1000
        # For raw.
        mount {
          type   = "tmpfs"
          target = "/tmp"
        }
        # The health check of the image reads its configuration from /etc/nomadctld.
        healthchecks {
          disable = true
        }
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/nomadctld\" }}{{ .config }}{{ end }}"
        destination = "secrets/nomadctld.toml"
        perms       = "0400"
        uid         = 65532
        gid         = 65532
        # A reload applies all settings except those that the command nomadctld check lists. If one of these changes,
        # restart the job: nomad job restart nomadctld
        change_mode   = "signal"
        change_signal = "SIGHUP"
      }

      template {
        data          = "{{ with nomadVar \"nomad/jobs/nomadctld\" }}{{ .hostkey }}{{ end }}\n"
        destination   = "secrets/hostkey"
        perms         = "0400"
        uid           = 65532
        gid           = 65532
        change_mode   = "signal"
        change_signal = "SIGHUP"
      }

      # The gateway reads the token for every command, so it does not have to restart.
      template {
        data        = "{{ with nomadVar \"nomad/jobs/nomadctld\" }}{{ .token }}{{ end }}"
        destination = "secrets/token"
        perms       = "0400"
        uid         = 65532
        gid         = 65532
        change_mode = "noop"
      }

      # GOMEMLIMIT must be below resources.memory. Above GOMEMLIMIT, Go collects garbage more often. At
      # resources.memory, the kernel kills the gateway.
      env {
        GOMEMLIMIT = "200MiB"
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
