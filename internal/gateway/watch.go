package gateway

import (
	"context"
	"maps"
	"os"
	"time"
)

// watchInterval is the time between two checks of the files. A check is one stat for each file. It also works where
// notifications of the kernel do not: on network file systems, and if a directory or a link to it is replaced.
const watchInterval = time.Second

// fileStamps show whether files have changed, by path. A file that cannot be read has a nil stamp.
type fileStamps map[string]os.FileInfo

func stampFiles(paths []string) fileStamps {
	stamps := fileStamps{}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			info = nil
		}
		stamps[path] = info
	}
	return stamps
}

func (s fileStamps) equal(other fileStamps) bool {
	return s != nil && other != nil && maps.EqualFunc(s, other, func(a, b os.FileInfo) bool {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && a.Mode() == b.Mode()
	})
}

// loadConsistent calls load, which reads files and returns their paths, until no file changes during a call. Otherwise
// the result might mix two versions. files are the paths that load is expected to read. loadConsistent returns the
// paths and the stamps of the files. If the files change during every call, the stamps are nil.
func loadConsistent(files []string, load func() []string) ([]string, fileStamps) {
	const maxAttempts = 5
	for range maxAttempts {
		before := stampFiles(files)
		files = load()
		if after := stampFiles(files); after.equal(before) {
			return files, after
		}
	}
	return files, nil
}

// watch calls reload after a file has changed, as soon as no file has changed for a whole interval. It returns when ctx
// ends. watched returns the files, and their stamps at the last load. Without stamps, the files count as changed.
func watch(ctx context.Context, watched func() ([]string, fileStamps), reload func()) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	var previous fileStamps
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		files, loaded := watched()
		now := stampFiles(files)
		if !now.equal(loaded) && now.equal(previous) {
			reload()
			now = nil
		}
		previous = now
	}
}
