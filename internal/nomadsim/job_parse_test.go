package nomadsim

import "testing"

func TestRegister_ReportsAllErrors(t *testing.T) {
	t.Parallel()
	c := New()
	defer c.Close()
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
		w := send(c, "PUT", "/v1/jobs", `{"Job":{"ID":"web",`+test.job+`}}`)
		if w.Code != 500 || w.Body.String() != test.want {
			t.Errorf("%s: got %d %q, want 500 %q", test.job, w.Code, w.Body, test.want)
		}
	}
	for _, priority := range []string{"0", "1", "100"} {
		if w := send(c, "PUT", "/v1/jobs", `{"Job":{"ID":"web","Priority":`+priority+`,`+tasks+`}}`); w.Code != 200 {
			t.Errorf("priority %s: got %d %s, want it accepted", priority, w.Code, w.Body)
		}
	}
}
