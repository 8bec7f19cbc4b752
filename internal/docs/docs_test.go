package main

import (
	"os"
	"testing"
)

func TestGeneratedFilesAreCurrent(t *testing.T) {
	t.Chdir("../..")
	for _, file := range files {
		got, err := os.ReadFile(file.name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := file.write(string(got))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the commands say: run make generate", file.name)
		}
		if stale, err := file.write(begin + end); err != nil || stale == begin+end {
			t.Errorf("%s: a stale text would pass: %v", file.name, err)
		}
	}
}

func TestAReadmeWithoutMarksIsAnError(t *testing.T) {
	if _, err := readme("no marks"); err == nil {
		t.Error("got none")
	}
}
