package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/fault"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1 // the work failed
	exitUsage   = 2 // the command line or the configuration is wrong
)

// cli is the command line. Every command is a struct with Run(*deps) error.
type cli struct {
	Config    string `help:"Folder with relance.yaml." default:"." type:"path" placeholder:"DIR" short:"c"`
	LogFormat string `help:"json or console; log.format of relance.yaml when absent." enum:",json,console" default:"" placeholder:"FORMAT"`
	LogLevel  string `help:"debug, info, warn or error; log.level of relance.yaml when absent." enum:",debug,info,warn,error" default:"" placeholder:"LEVEL"`

	Init     initCmd     `cmd:"" help:"Lay out a commented starting set of files."`
	Check    checkCmd    `cmd:"" help:"Look for mistakes in the files, then ask every shop."`
	Run      runCmd      `cmd:"" help:"Serve: read the shops, keep segments true, send."`
	Demo     demoCmd     `cmd:"" help:"Show it all on this machine: a recorded shop, live traffic, captured mail."`
	Sync     syncCmd     `cmd:"" help:"Mirror the shops up to now, without sending anything."`
	Import   importCmd   `cmd:"" help:"Import a list of people (CSV) with their consents."`
	Segment  segmentCmd  `cmd:"" help:"Look at segments and who is in them."`
	Plan     planCmd     `cmd:"" help:"Show what the edited files would change, without changing anything."`
	Campaign campaignCmd `cmd:"" help:"Look at campaigns, arm and pause them."`
	Template templateCmd `cmd:"" help:"List the mails that come along, and copy them to edit."`
	Coupon   couponCmd   `cmd:"" help:"Import coupon codes, and see what became of them."`
	Status   statusCmd   `cmd:"" help:"Show how far every shop is mirrored."`
	Shop     shopCmd     `cmd:"" help:"Look into one shop."`
	Contact  contactCmd  `cmd:"" help:"Look at one person; merge, split, erase."`

	Quarantine quarantineCmd `cmd:"" help:"Look at records that cannot be understood, and have them read again."`
	Doctor     doctorCmd     `cmd:"" help:"Find the cause of trouble with a shop, or with mails."`

	Adopt adoptCmd `cmd:"" help:"Let a copied, moved or restored database send from here."`

	Schema  schemaCmd  `cmd:"" help:"Print the JSON Schema of the files, for editors."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// deps is what the outside gives a command; tests give their own.
type deps struct {
	ctx       context.Context
	args      []string
	in        io.Reader
	out, err  io.Writer
	env       config.Env
	now       func() time.Time  // business time
	transport http.RoundTripper // to shops and providers; nil = the machine's network

	dir               string // --config
	logFormat, logLvl string // "" = as relance.yaml says
}

// exitError carries an exit code; with a nil cause everything has been said already.
type exitError struct {
	code  int
	cause error
}

func (e exitError) Error() string {
	if e.cause == nil {
		return ""
	}
	return e.cause.Error()
}

func (e exitError) Unwrap() error { return e.cause }

// helped is what kong's exit is turned into after --help.
type helped struct{ code int }

// execute parses and runs one command line and gives the exit code.
func execute(d *deps) (code int) {
	var c cli
	defer func() {
		switch p := recover().(type) {
		case nil:
		case helped:
			code = p.code
		default:
			panic(p)
		}
	}()
	parser, err := kong.New(&c, kong.Name("relance"),
		kong.Description("Relance mirrors shops into a CRM database, keeps customer segments true, and sends the right e-mail once.\n\n"+
			"First steps:\n\n  relance init shop && cd shop    lay out the files, then fill in .env\n  relance check                   find mistakes, ask the shop\n"+
			"  relance sync --once             mirror the shop\n  relance campaign arm win_back   let a campaign begin\n  relance run                     serve"),
		kong.Writers(d.out, d.err), kong.Exit(func(code int) { panic(helped{code}) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110, NoAppDescFormat: true}), kong.Bind(d))
	if err != nil {
		fmt.Fprintln(d.err, "relance:", err)
		return exitFailure
	}
	ctx, err := parser.Parse(d.args)
	if err != nil {
		fmt.Fprintf(d.err, "relance: %v\nSee relance --help\n", err)
		return exitUsage
	}
	d.dir, d.logFormat, d.logLvl = c.Config, c.LogFormat, c.LogLevel
	return d.report(ctx.Run(d))
}

// report says what went wrong, once, and gives the exit code.
func (d *deps) report(err error) int {
	if err == nil {
		return exitOK
	}
	code := exitFailure
	if ms, ok := errors.AsType[config.Mistakes](err); ok {
		code = exitUsage
		fmt.Fprintln(d.err, ms.Error())
		fmt.Fprintf(d.err, "\n%s\n", count(len(ms), "mistake"))
		return code
	}
	if e, ok := errors.AsType[exitError](err); ok {
		if code = e.code; e.cause == nil {
			return code
		}
	}
	fmt.Fprintln(d.err, "relance:", sentence(err))
	return code
}

// sentence is an error with what to do at its end, even when a wrapper hid it.
func sentence(err error) string {
	text := err.Error()
	if hint := fault.HintOf(err); hint != "" && !strings.Contains(text, hint) {
		text += ". " + hint
	}
	return text
}

func usage(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// load reads the configuration.
func (d *deps) load() (*config.Config, error) { return config.Load(d.dir, d.env) }

// quietLog is the log of commands that answer a person: warnings, for people, unless asked otherwise.
func (d *deps) quietLog() (*zap.Logger, error) {
	return d.log(config.Log{Format: "console", Level: "warn"})
}

// log writes to stderr, so that stdout is only the answer. The command line's flags win over l.
func (d *deps) log(l config.Log) (*zap.Logger, error) {
	if d.logFormat != "" {
		l.Format = d.logFormat
	}
	if d.logLvl != "" {
		l.Level = d.logLvl
	}
	level, err := zapcore.ParseLevel(l.Level)
	if err != nil {
		return nil, usage("reading the log level: %w", err)
	}
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder := zapcore.NewJSONEncoder(enc)
	if l.Format == "console" {
		enc.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(enc)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(d.err)), level)), nil
}
