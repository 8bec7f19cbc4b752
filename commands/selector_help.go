package commands

// selectorHelp explains the argument SELECTOR.
const selectorHelp = `
SELECTOR is an exec ID as ps shows it, or the beginning of one (4 digits or more) that fits no other; the ID of an
allocation or its beginning; or JOB, JOB/GROUP or JOB/GROUP/TASK when exactly one running task fits.
Name a lost, complete or failed allocation by its own ID. If nothing is running, logs, tail and info use the newest
allocation.`
