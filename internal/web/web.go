// Package web is Relance's HTTP: the public surface (webhooks in, unsubscribe pages) and the admin surface (the page
// for owners, status, health, metrics). It reads through small functions that cmd hands it and owns no table.
package web

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// ErrNotFound is what the injected functions return for a token that was not signed here or for a mail that is not
// kept: the answer is a 404 page.
var ErrNotFound = errors.New("not found")

//go:embed pages
var pages embed.FS

const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 20 * time.Second // a megabyte of webhook over a slow line
	writeTimeout      = 40 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// Serve answers on ln until ctx ends, then lets requests under way finish for at most grace and cuts the rest.
// It returns nil after an orderly stop, the listener's error otherwise. It closes ln.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, grace time.Duration, log *zap.Logger) error {
	srv := &http.Server{
		Handler: h, ErrorLog: zap.NewStdLog(log.Named("http").WithOptions(zap.IncreaseLevel(zap.WarnLevel))),
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := srv.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("requests cut at stop", zap.Duration("grace", grace))
		err = srv.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// mustPages parses embedded templates: a mistake in them is a mistake of the build and shows in the first test.
func mustPages(funcs template.FuncMap, files ...string) *template.Template {
	names := make([]string, len(files))
	for i, f := range files {
		names[i] = "pages/" + f
	}
	return template.Must(template.New("").Funcs(funcs).ParseFS(pages, names...))
}

func mustAsset(name string) string {
	b, err := pages.ReadFile("pages/" + name)
	if err != nil {
		panic(err) // embedded: cannot be missing from a program that was built
	}
	return string(b)
}
