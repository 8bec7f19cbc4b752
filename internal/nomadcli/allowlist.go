package nomadcli

// rule defines whether and how a command may be run. Flags outside it and commonFlags are refused.
type rule struct {
	refused string // the reason; empty: permitted
	group   bool   // has only subcommands, and prints their help
	aliasOf string // the command that this name is an alias of; all other fields are then empty

	// flags are separated by spaces: "name" is boolean, "name=" takes a value, "name=template" a Go template,
	// "name=secret" a value that is not recorded.
	flags string

	connectsToNodes bool                  // connects to an allocation's node directly if it learns the address
	secretArgs      bool                  // the values of KEY=VALUE arguments are not recorded
	check           func(c command) error // checks the arguments; nil: any are permitted
	job             jobSource             // the argument that names the job
}

// jobSource is the part of the command line that names the job.
type jobSource int

const (
	jobNone            jobSource = iota
	jobFirstWord                 // job history ID
	jobOnlyWord                  // job stop ID; several IDs are ambiguous
	jobInFlag                    // eval list -job ID
	jobFirstWordIfFlag           // alloc exec -job ID sh
)

const (
	reasonOpensBrowser   = "it opens a browser on the gateway"
	reasonWritesFile     = "it writes a file on the gateway's machine"
	reasonLocalFiles     = "it works on files on the gateway's machine"
	reasonChangesAuth    = "it changes access rights on the cluster"
	reasonShowsToken     = "it shows a token"
	reasonRunsAgent      = "it runs an agent on the gateway's machine"
	reasonChangesServers = "it changes the servers of the cluster"
	reasonClusterKeys    = "it manages the cluster's keys"
	reasonAnyRequest     = "it can send any request with the gateway's token"
)

const (
	execFlags   = "job i t it ti e= task= group="
	fsFlags     = "verbose H job group= stat f tail n= c="
	logsFlags   = "verbose job tail f stderr stdout n= c= task= group="
	statusFlags = "json t=template verbose"
	pageFlags   = "json t=template filter= per-page= page-token="
	waitFlags   = "detach verbose"

	dispatchFlags = "wait idempotency-token= meta=secret id-prefix-template= priority= " + waitFlags
	planFlags     = "diff json json-output policy-override t=template vault-namespace= verbose"
	putFlags      = "force verbose check-index= in= out= template=template"
	restartFlags  = "all-tasks batch-size= batch-wait= group= no-shutdown-delay on-error= reschedule task= verbose yes"
	stopFlags     = "eval-priority= global no-shutdown-delay purge yes " + waitFlags
	runFlags      = "check-index= consul-namespace= eval-priority= json output policy-override preserve-counts " +
		"preserve-resources vault-namespace= " + waitFlags
	drainFlags = "enable disable deadline= detach force no-deadline ignore-system keep-ineligible self yes monitor " +
		"m= meta="
)

// rules has an entry for every command of Nomad 2.0.5, except subcommands of refused ones.
var rules = map[string]rule{
	"acl":                       {group: true},
	"acl auth-method":           {group: true},
	"acl auth-method create":    {refused: reasonChangesAuth},
	"acl auth-method delete":    {refused: reasonChangesAuth},
	"acl auth-method info":      {flags: "json t=template"},
	"acl auth-method list":      {flags: "json t=template"},
	"acl auth-method update":    {refused: reasonChangesAuth},
	"acl binding-rule":          {group: true},
	"acl binding-rule create":   {refused: reasonChangesAuth},
	"acl binding-rule delete":   {refused: reasonChangesAuth},
	"acl binding-rule info":     {flags: "json t=template"},
	"acl binding-rule list":     {flags: "json t=template"},
	"acl binding-rule update":   {refused: reasonChangesAuth},
	"acl bootstrap":             {refused: reasonChangesAuth},
	"acl policy":                {group: true},
	"acl policy apply":          {refused: reasonChangesAuth},
	"acl policy delete":         {refused: reasonChangesAuth},
	"acl policy info":           {},
	"acl policy list":           {flags: "json t=template"},
	"acl policy self":           {flags: "json t=template"},
	"acl role":                  {group: true},
	"acl role create":           {refused: reasonChangesAuth},
	"acl role delete":           {refused: reasonChangesAuth},
	"acl role info":             {flags: "by-name json t=template"},
	"acl role list":             {flags: "json t=template"},
	"acl role update":           {refused: reasonChangesAuth},
	"acl token":                 {group: true},
	"acl token create":          {refused: reasonChangesAuth},
	"acl token delete":          {refused: reasonChangesAuth},
	"acl token info":            {refused: reasonShowsToken},
	"acl token list":            {flags: "json t=template"},
	"acl token self":            {refused: reasonShowsToken},
	"acl token update":          {refused: reasonChangesAuth},
	"action":                    {aliasOf: "job action"},
	"agent":                     {refused: reasonRunsAgent},
	"agent-info":                {flags: "json t=template"},
	"alloc":                     {group: true},
	"alloc checks":              {flags: statusFlags},
	"alloc exec":                {flags: execFlags, connectsToNodes: true, job: jobFirstWordIfFlag},
	"alloc fs":                  {flags: fsFlags, connectsToNodes: true, job: jobFirstWordIfFlag},
	"alloc logs":                {flags: logsFlags, connectsToNodes: true, job: jobFirstWordIfFlag},
	"alloc pause":               {flags: "state= status task= verbose"},
	"alloc restart":             {flags: "all-tasks task= verbose"},
	"alloc signal":              {flags: "s= task= verbose"},
	"alloc status":              {flags: "short stats " + statusFlags},
	"alloc stop":                {flags: "no-shutdown-delay " + waitFlags},
	"alloc-status":              {aliasOf: "alloc status"},
	"check":                     {refused: "it checks the machine of an agent"},
	"client-config":             {aliasOf: "node config"},
	"config":                    {refused: reasonLocalFiles},
	"debug":                     {refused: reasonWritesFile},
	"deployment":                {group: true},
	"deployment fail":           {flags: waitFlags},
	"deployment list":           {flags: "filter= " + statusFlags},
	"deployment pause":          {flags: "verbose"},
	"deployment promote":        {flags: "group= " + waitFlags},
	"deployment resume":         {flags: waitFlags},
	"deployment status":         {flags: "monitor wait= " + statusFlags},
	"deployment unblock":        {flags: waitFlags},
	"docker_logger":             {refused: reasonRunsAgent},
	"eval":                      {group: true},
	"eval delete":               {flags: "filter= yes"},
	"eval list":                 {flags: "verbose job= status= " + pageFlags, job: jobInFlag},
	"eval status":               {flags: "monitor " + statusFlags},
	"eval-status":               {aliasOf: "eval status"},
	"exec":                      {aliasOf: "alloc exec"},
	"executor":                  {refused: reasonRunsAgent},
	"fmt":                       {refused: reasonLocalFiles},
	"fs":                        {aliasOf: "alloc fs"},
	"init":                      {aliasOf: "job init"},
	"inspect":                   {aliasOf: "job inspect"},
	"job":                       {group: true},
	"job action":                {flags: "alloc= job= i t e= task= group=", connectsToNodes: true, job: jobInFlag},
	"job allocs":                {flags: "all " + statusFlags, job: jobFirstWord},
	"job deployments":           {flags: "all latest " + statusFlags, job: jobFirstWord},
	"job dispatch":              {flags: dispatchFlags, check: stdinSecond, job: jobFirstWord},
	"job eval":                  {flags: "force-reschedule " + waitFlags, job: jobFirstWord},
	"job history":               {flags: "p full json version= t=template diff-tag= diff-version=", job: jobFirstWord},
	"job init":                  {refused: reasonWritesFile},
	"job inspect":               {flags: "hcl json t=template version= with-vars", job: jobFirstWord},
	"job periodic":              {group: true},
	"job periodic force":        {flags: waitFlags, job: jobFirstWord},
	"job plan":                  {flags: planFlags, check: jsonFromStdin},
	"job promote":               {flags: "group= " + waitFlags, job: jobFirstWord},
	"job restart":               {flags: restartFlags, job: jobFirstWord},
	"job revert":                {flags: waitFlags, job: jobFirstWord},
	"job run":                   {flags: runFlags, check: jsonFromStdin},
	"job scale":                 {flags: "check-index= " + waitFlags, job: jobFirstWord},
	"job scaling-events":        {flags: "verbose", job: jobFirstWord},
	"job start":                 {flags: waitFlags, job: jobOnlyWord},
	"job status":                {flags: "all-allocs evals short " + statusFlags, job: jobFirstWord},
	"job stop":                  {flags: stopFlags, job: jobOnlyWord},
	"job tag":                   {group: true},
	"job tag apply":             {flags: "name= description= version=", job: jobFirstWord},
	"job tag unset":             {flags: "name=", job: jobFirstWord},
	"job validate":              {flags: "json vault-namespace=", check: jsonFromStdin},
	"keygen":                    {refused: "it makes keys on the gateway's machine"},
	"keyring":                   {refused: reasonClusterKeys},
	"license":                   {group: true},
	"license get":               {},
	"logmon":                    {refused: reasonRunsAgent},
	"login":                     {refused: reasonChangesAuth},
	"logs":                      {aliasOf: "alloc logs"},
	"monitor":                   {flags: "json log-include-location log-level= node-id= server-id=", check: noWords},
	"monitor export":            {refused: "it reads log files on the agents' machines"},
	"namespace":                 {group: true},
	"namespace apply":           {flags: "description= quota= json", check: stdinOrName},
	"namespace delete":          {},
	"namespace inspect":         {flags: "t=template"},
	"namespace list":            {flags: "json t=template"},
	"namespace status":          {flags: "json t=template"},
	"node":                      {group: true},
	"node config":               {flags: "servers"},
	"node drain":                {flags: drainFlags},
	"node eligibility":          {flags: "enable disable self"},
	"node identity":             {group: true},
	"node identity get":         {flags: "json t=template"},
	"node identity renew":       {refused: reasonChangesAuth},
	"node intro":                {refused: reasonShowsToken},
	"node meta":                 {group: true},
	"node meta apply":           {flags: "node-id= unset="},
	"node meta read":            {flags: "json node-id= t=template"},
	"node pool":                 {group: true},
	"node pool apply":           {flags: "json", check: stdinFirst},
	"node pool delete":          {},
	"node pool info":            {flags: "json t=template"},
	"node pool init":            {refused: reasonWritesFile},
	"node pool jobs":            {flags: pageFlags},
	"node pool list":            {flags: pageFlags},
	"node pool nodes":           {flags: "verbose " + pageFlags},
	"node status":               {flags: "allocs os quiet self short stats verbose " + pageFlags},
	"node-drain":                {aliasOf: "node drain"},
	"node-status":               {aliasOf: "node status"},
	"operator":                  {group: true},
	"operator api":              {refused: reasonAnyRequest},
	"operator autopilot":        {group: true},
	"operator autopilot health": {flags: "json"},

	"operator autopilot get-config": {flags: "json t=template"},
	"operator autopilot set-config": {refused: reasonChangesServers},

	"operator client-state":         {refused: reasonLocalFiles},
	"operator debug":                {refused: reasonWritesFile},
	"operator gossip":               {refused: reasonClusterKeys},
	"operator metrics":              {flags: "pretty format= json t=template"},
	"operator raft":                 {group: true},
	"operator raft info":            {refused: reasonLocalFiles},
	"operator raft list-peers":      {flags: "stale"},
	"operator raft logs":            {refused: reasonLocalFiles},
	"operator raft migrate-backend": {refused: reasonLocalFiles},
	"operator raft remove-peer":     {refused: reasonChangesServers},
	"operator raft state":           {refused: reasonLocalFiles},

	"operator raft transfer-leadership": {refused: reasonChangesServers},

	"operator root":                 {refused: reasonClusterKeys},
	"operator scheduler":            {group: true},
	"operator scheduler get-config": {flags: "json t=template"},
	"operator scheduler set-config": {refused: reasonChangesServers},
	"operator snapshot":             {refused: reasonLocalFiles},
	"operator utilization":          {refused: reasonWritesFile},

	"plan":                   {aliasOf: "job plan"},
	"plugin":                 {group: true},
	"plugin status":          {flags: "short type= " + statusFlags},
	"quota":                  {group: true},
	"quota apply":            {flags: "json", check: stdinFirst},
	"quota delete":           {},
	"quota init":             {refused: reasonWritesFile},
	"quota inspect":          {flags: "json t=template"},
	"quota list":             {flags: "json t=template"},
	"quota status":           {flags: "json t=template"},
	"recommendation":         {group: true},
	"recommendation apply":   {flags: "policy-override " + waitFlags},
	"recommendation dismiss": {},
	"recommendation info":    {flags: "json t=template"},
	"recommendation list":    {flags: "group= job= json t=template task=", job: jobInFlag},
	"run":                    {aliasOf: "job run"},
	"scaling":                {group: true},
	"scaling policy":         {group: true},
	"scaling policy info":    {flags: statusFlags},
	"scaling policy list":    {flags: "job= type= " + statusFlags, job: jobInFlag},
	"sentinel":               {group: true},
	"sentinel apply":         {refused: reasonChangesAuth},
	"sentinel delete":        {refused: reasonChangesAuth},
	"sentinel list":          {},
	"sentinel read":          {flags: "raw"},
	"server":                 {group: true},
	"server force-leave":     {refused: reasonChangesServers},
	"server join":            {refused: reasonChangesServers},
	"server members":         {flags: "detailed " + statusFlags},
	"server-force-leave":     {aliasOf: "server force-leave"},
	"server-join":            {aliasOf: "server join"},
	"server-members":         {aliasOf: "server members"},
	"service":                {group: true},
	"service delete":         {},
	"service info":           {flags: "verbose " + pageFlags},
	"service list":           {flags: "json name= t=template"},
	"setup":                  {refused: reasonChangesAuth},
	"start":                  {aliasOf: "job start"},
	"status":                 {flags: "verbose", job: jobOnlyWord},
	"stop":                   {aliasOf: "job stop"},
	"syslog":                 {refused: reasonRunsAgent},
	"system":                 {group: true},
	"system gc":              {},
	"system reconcile":       {group: true},
	"template-render":        {refused: reasonRunsAgent},
	"tls":                    {refused: reasonLocalFiles},
	"ui":                     {refused: reasonOpensBrowser},
	"validate":               {aliasOf: "job validate"},
	"var":                    {group: true},
	"var get":                {flags: "item= template=template out="},
	"var init":               {refused: reasonWritesFile},
	"var list":               {flags: "template=template out= filter= per-page= page-token="},
	"var lock":               {refused: "it runs a command on the gateway's machine", secretArgs: true},
	"var purge":              {flags: "check-index="},
	"var put":                {flags: putFlags, check: noFileReference, secretArgs: true},
	"version":                {check: noWords},
	"volume":                 {group: true},
	"volume claim":           {group: true},
	"volume claim delete":    {flags: "y"},
	"volume claim list":      {flags: "group= job= volume-name= " + statusFlags, job: jobInFlag},
	"volume create":          {flags: "policy-override id= " + waitFlags, check: stdinFirst},
	"volume delete":          {flags: "force type="},
	"volume deregister":      {flags: "force"},
	"volume detach":          {},
	"volume init":            {refused: reasonWritesFile},
	"volume register":        {flags: "policy-override id=", check: stdinFirst},
	"volume snapshot":        {group: true},
	"volume snapshot create": {flags: "parameter= verbose"},
	"volume snapshot delete": {},
	"volume snapshot list":   {flags: "plugin= verbose per-page= page-token="},
	"volume status":          {flags: "short type= node= node-pool= " + statusFlags},
	"windows":                {refused: reasonRunsAgent},

	"system reconcile summaries": {},
}
