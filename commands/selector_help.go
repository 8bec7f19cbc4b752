package commands

// taskArg are the forms of an argument that selects a task, or a job where the command accepts one.
const taskArg = "JOB|JOB/GROUP|JOB/GROUP/TASK|ID"

// taskHelp explains taskArg for commands that need a running task.
const taskHelp = `JOB, JOB/GROUP and JOB/GROUP/TASK must match exactly one running task. GROUP may
be web[1]. ID is an exec or allocation ID, or its first 4 or more digits.`

// jobOrTaskHelp explains taskArg for commands that accept a job and finished tasks too.
const jobOrTaskHelp = `JOB selects all tasks of the job. JOB/GROUP and JOB/GROUP/TASK must match one
running task. If none is running, they must match one task in the newest allocation
of each instance, such as web[0], and no second one. GROUP may have an index
(web[1]). ID is an exec or allocation ID, or its first 4 digits or more.`

// filterHelp explains FILTER.
const filterHelp = `FILTER selects jobs whose IDs contain it. A FILTER with * or ? must match the whole
ID.`
