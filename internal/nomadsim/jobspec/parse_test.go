package jobspec

import (
	"encoding/json"
	"testing"
)

func TestParse_ReportsAllErrors(t *testing.T) {
	t.Parallel()
	const tasks = `"TaskGroups":[{"Name":"g","Tasks":[{"Name":"t"}]}]`
	const priority = "job priority must be between [1, 100]"
	for _, test := range []struct{ job, want string }{
		{`"Priority":500,` + tasks, "1 error occurred:\n\t* " + priority + "\n\n"},
		{`"Priority":-1,` + tasks, "1 error occurred:\n\t* " + priority + "\n\n"},
		{`"Priority":101`, "2 errors occurred:\n\t* Missing job task groups\n\t* " + priority + "\n\n"},
		{
			`"Priority":101,"TaskGroups":[{"Name":"g"}]`,
			"2 errors occurred:\n\t* Task group g validation failed: 1 error occurred:\n\t* Missing tasks for task " +
				"group\n\n\n\t* " + priority + "\n\n",
		},
	} {
		_, err := Parse(json.RawMessage(`{"ID":"web",` + test.job + `}`))
		if _, coded := err.(CodedError); coded || err == nil || err.Error() != test.want {
			t.Errorf("%s: got %q, want an internal error %q", test.job, err, test.want)
		}
	}
	for _, priority := range []string{"0", "1", "100"} {
		if _, err := Parse(json.RawMessage(`{"ID":"web","Priority":` + priority + `,` + tasks + `}`)); err != nil {
			t.Errorf("priority %s: got %v, want it accepted", priority, err)
		}
	}
}
