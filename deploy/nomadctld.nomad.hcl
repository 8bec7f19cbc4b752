# Two gateways beside the Nomad servers. What they need is in one Nomad variable, which a task of this job may read
# without a token; -force where there is one already.
#
# not run: the image and the cluster are yours; deploy_test.go has the job validated
#
#   nomad acl policy apply nomadctld nomadctld-policy.hcl
#   ssh-keygen -t ed25519 -N '' -f hostkey
#   nomad acl token create -name nomadctld -policy nomadctld -t '{{.SecretID}}' >token
#   nomad var put -out none nomad/jobs/nomadctld config=@nomadctld.toml hostkey=@hostkey token=@token
#   nomad job run -var image=registry.example/nomadctld:v1 nomadctld.nomad.hcl
#
# In the configuration these paths hold: hostkey = "/secrets/hostkey", token = "/secrets/token", and in [audit]
# file = "/alloc/data/audit.jsonl", with which the folder for jobs is /alloc/data/jobs. Or file = "-", if something collects
# what tasks write, and jobs = "/alloc/data/jobs". More tokens are more items in the variable, and more templates here.
#
# Each instance knows its own operations only: ops, ops ID --restore and that two restarts of a job exclude each other are
# about the instance one is logged in to. Give people names that lead to one of them, and the other as a spare; or count = 1.

variable "image" {
  type        = string
  description = "The image of make image, where the nodes can pull it."
}

variable "port" {
  type        = number
  default     = 2222
  description = "The port of the nodes that the gateway has; the one in general.bind."
}

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

job "nomadctld" {
  datacenters = var.datacenters
  type        = "service"

  # Beside the servers: they answer on the loopback of their machines too. Mark those clients, with
  # client { meta { nomad_server = true } }, or remove this to have it anywhere.
  constraint {
    attribute = "${meta.nomad_server}"
    value     = "true"
  }

  # One each, so that one machine can go.
  constraint {
    operator = "distinct_hosts"
    value    = "true"
  }

  # One after the other, so that there always is one to log in to.
  update {
    max_parallel     = 1
    min_healthy_time = "10s"
    healthy_deadline = "2m"
    auto_revert      = true
  }

  group "gateway" {
    count = 2

    # Between its end as a service and SIGTERM, so that nobody is sent to one that is about to go.
    shutdown_delay = "3s"

    network {
      mode = "host"
      port "ssh" {
        static = var.port
      }
    }

    # What restart --full keeps, and the audit log, have to outlive a new version of this job.
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

      # It ends what runs by itself, which takes up to 17 seconds.
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
        # The image's own looks in /etc/nomadctld.
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
        change_mode = "restart"
        splay       = "1m" # most likely not both at the same time
      }

      template {
        data        = "{{ with nomadVar \"nomad/jobs/nomadctld\" }}{{ .hostkey }}{{ end }}\n"
        destination = "secrets/hostkey"
        perms       = "0400"
        uid         = 65532
        gid         = 65532
        change_mode = "restart"
        splay       = "1m"
      }

      # Read anew for every command.
      template {
        data        = "{{ with nomadVar \"nomad/jobs/nomadctld\" }}{{ .token }}{{ end }}"
        destination = "secrets/token"
        perms       = "0400"
        uid         = 65532
        gid         = 65532
        change_mode = "noop"
      }

      # GOMEMLIMIT has to be below resources.memory. Beyond GOMEMLIMIT, Go collects garbage more often; at
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
