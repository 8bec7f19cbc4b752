package backends

import "context"

type userKey struct{}

// WithUser returns a context for work that is done for a user: scarce slots are shared out by it.
func WithUser(ctx context.Context, login string) context.Context {
	return context.WithValue(ctx, userKey{}, login)
}

// UserOf returns the login that WithUser was given; empty: none was.
func UserOf(ctx context.Context) string {
	login, _ := ctx.Value(userKey{}).(string)
	return login
}
