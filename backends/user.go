package backends

import "context"

type userKey struct{}

// WithUser returns a context for work on behalf of a user. The slots of backends/nomad and router.Quota are counted for
// each user.
func WithUser(ctx context.Context, login string) context.Context {
	return context.WithValue(ctx, userKey{}, login)
}

// UserOf returns the login from WithUser, or "".
func UserOf(ctx context.Context) string {
	login, _ := ctx.Value(userKey{}).(string)
	return login
}
