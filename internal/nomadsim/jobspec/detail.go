package jobspec

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Detail returns the whole version as it was registered or described, with Nomad's defaults and without Stable. Fields
// that a description cannot set are null.
func (j *Registration) Detail() object {
	if j.definition != nil {
		all := maps.Clone(j.definition)
		maps.Copy(all, j.registrationState())
		return all
	}
	all := j.describedDefinition()
	maps.Copy(all, j.registrationState())
	maps.Copy(all, j.Extra)
	return all
}

// registrationState returns the fields that belong to one registration of the job.
func (j *Registration) registrationState() object {
	return object{
		"ID": j.ID, "Name": j.Name, "Namespace": j.Namespace, "ParentID": j.ParentID,
		"Status": j.Status, "StatusDescription": j.StatusDescription, "Stop": j.Stop, "Meta": j.Meta,
		"Periodic": j.Periodic, "Dispatched": j.Dispatched, "Priority": j.Priority, "Payload": j.Payload,
		"CreateIndex": j.CreateIndex, "ModifyIndex": j.ModifyIndex, "JobModifyIndex": j.JobModifyIndex,
		"SubmitTime": j.SubmitTime, "Version": j.Version, "VersionTag": j.Tag,
		"NomadTokenID": j.TokenID, "DispatchIdempotencyToken": j.Idempotency,
	}
}

// describedDefinition returns the definition of a described job.
func (j *Registration) describedDefinition() object {
	groups := []object{}
	for _, g := range j.Groups {
		groups = append(groups, j.groupDetail(g))
	}
	parallel, stagger := 0, time.Duration(0)
	if j.Type != "batch" {
		parallel, stagger = 1, 30*time.Second
	}
	return object{
		"Region": j.Region, "Type": j.Type, "Datacenters": j.Datacenters, "NodePool": j.NodePool,
		"ParameterizedJob": j.ParameterizedJob, "ConsulNamespace": "", "VaultNamespace": "",
		"Affinities": nil, "AllAtOnce": false, "Constraints": constraints(j.Constraints), "Multiregion": nil,
		"Spreads": nil, "UI": nil,
		"TaskGroups": groups,
		"Update": object{
			"AutoPromote": false, "AutoRevert": false, "Canary": 0, "HealthCheck": "", "HealthyDeadline": 0,
			"MaxParallel": parallel, "MinHealthyTime": 0, "ProgressDeadline": 0, "Stagger": stagger,
		},
	}
}

func (j *Registration) groupDetail(g Group) object {
	restart := object{
		"Attempts": 2, "Delay": 15 * time.Second, "Interval": 30 * time.Minute, "Mode": "fail", "RenderTemplates": false,
	}
	var reschedule any = object{
		"Attempts": 0, "Delay": 30 * time.Second, "DelayFunction": "exponential", "Interval": 0,
		"MaxDelay": time.Hour, "Unlimited": true,
	}
	var migrate, update any
	if j.Type == "service" {
		migrate = object{
			"HealthCheck": "checks", "HealthyDeadline": 5 * time.Minute, "MaxParallel": 1, "MinHealthyTime": 10 * time.Second,
		}
		update = g.Update.Detail()
	} else if j.Type == "system" {
		reschedule, update = nil, g.Update.Detail()
	} else {
		restart["Attempts"], restart["Interval"] = 3, 24*time.Hour
		reschedule = object{
			"Attempts": 1, "Delay": 5 * time.Second, "DelayFunction": "constant", "Interval": 24 * time.Hour,
			"MaxDelay": 0, "Unlimited": false,
		}
		if j.Type == "sysbatch" {
			reschedule = nil
		}
	}
	if g.Restart != nil {
		restart = g.Restart.detail()
	}
	if g.Reschedule != nil {
		reschedule = g.Reschedule.detail()
	}
	tasks := []object{}
	for _, t := range g.Tasks {
		tasks = append(tasks, t.detail(j, restart))
	}
	return object{
		"Name": g.Name, "Count": g.Count, "Tasks": tasks,
		"EphemeralDisk": object{"Migrate": false, "SizeMB": DiskMB, "Sticky": false},
		"Migrate":       migrate, "Update": update, "RestartPolicy": restart, "ReschedulePolicy": reschedule,
		"Affinities": nil, "Constraints": constraints(slices.Concat(g.Constraints, g.impliedConstraints())), "Consul": nil,
		"Disconnect":          g.Disconnect.detail(),
		"MaxClientDisconnect": nil, "MaxRunDuration": nil, "Meta": g.Meta, "Networks": requestedNetworks(g.Networks),
		"PreventRescheduleOnLost": false, "Scaling": g.Scaling.detail(j, g.Name), "Services": services(j, "", g.Services),
		"ShutdownDelay": nil, "Spreads": nil, "StopAfterClientDisconnect": nil, "Volumes": nil,
	}
}

func (t Task) detail(j *Registration, restart object) object {
	return object{
		"Name": t.Name, "Driver": t.Driver, "Config": t.Config, "Lifecycle": t.Lifecycle(),
		"Resources": Resources(t.CPU, t.Memory, t.MemoryMax, 0), "RestartPolicy": restart,
		"Identity": object{
			"Audience": []string{"nomadproject.io"}, "ChangeMode": "", "ChangeSignal": "", "Env": false,
			"ExtraClaims": nil, "File": false, "Filepath": "", "Name": "default", "ServiceName": "", "TTL": 0,
		},
		"LogConfig":  object{"Disabled": t.LogsDisabled, "MaxFileSizeMB": 10, "MaxFiles": 10},
		"KillSignal": "", "KillTimeout": 5 * time.Second, "Kind": "", "Leader": false, "ShutdownDelay": 0, "User": "",
		"Actions": nil, "Affinities": nil, "Artifacts": nil, "CSIPluginConfig": nil,
		"Constraints": constraints(t.Constraints),
		"Consul":      nil, "DispatchPayload": nil, "Env": t.Env, "Identities": nil, "Meta": t.Meta, "ScalingPolicies": nil,
		"Schedule": nil, "Secrets": nil, "Services": services(j, t.Name, t.Services), "Templates": templates(t.Templates),
		"Vault": nil, "VolumeMounts": nil,
	}
}

// Lifecycle returns the lifecycle block of the task, or nil.
func (t Task) Lifecycle() any {
	if t.Hook == "" && !t.Sidecar {
		return nil
	}
	return object{"Hook": cmp.Or(t.Hook, "poststart"), "Sidecar": t.Sidecar}
}

// DiskMB is Nomad's default disk size of a group.
const DiskMB = 300

// Resources returns a resources block. Memory and disk are in MiB.
func Resources(cpu, memory, memoryMax, disk int) object {
	return object{
		"CPU": cpu, "MemoryMB": memory, "MemoryMaxMB": memoryMax, "DiskMB": disk, "IOPS": 0, "Cores": 0,
		"SecretsMB": 0, "Devices": nil, "NUMA": nil, "Networks": nil,
	}
}

func constraints(all []Constraint) (rows []object) {
	for _, c := range all {
		rows = append(rows, object{"LTarget": c.Left, "RTarget": c.Right, "Operand": c.Operator})
	}
	return rows
}
