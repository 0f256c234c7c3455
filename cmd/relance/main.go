// Command relance mirrors shops into a CRM database, keeps customer segments true, and sends the right e-mail once.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
	_ "time/tzdata" // the same answers in images without a time zone database
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(&deps{
		ctx: ctx, args: os.Args[1:], in: os.Stdin, out: os.Stdout, err: os.Stderr,
		env: os.LookupEnv, now: func() time.Time { return time.Now().UTC() },
	})
	stop()
	os.Exit(code)
}
