package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments/rule"
)

// Load reads the configuration in dir. env answers for ${VAR}; a .env file in dir answers for what env does not know.
// An error that is Mistakes lists everything that is wrong; any other says why nothing could be read.
func Load(dir string, env Env) (*Config, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the configuration: %w", err)
	}
	if env, err = withDotEnv(abs, env); err != nil {
		return nil, err
	}
	l := &loader{dir: abs, env: env, mask: newMasker(), unset: map[ast.Node]bool{}, typos: map[ast.Node]bool{}}
	f, err := l.read()
	if err != nil {
		return nil, err
	}
	c := l.validate(f)
	if ms := l.finish(); len(ms) > 0 {
		return nil, ms
	}
	return c, nil
}

// files is everything as decoded, with the documents that positions come from.
type files struct {
	main         mainYAML
	mainDoc      *document
	shops        map[string]Shop
	shopDocs     map[string]*document
	segments     rule.File
	segmentDocs  map[string]*document // by segment
	campaigns    mailer.CampaignFile
	campaignDocs map[string]*document // by campaign
	broken       bool                 // a file could not be read at all
}

func (l *loader) read() (*files, error) {
	f := &files{
		shops: map[string]Shop{}, shopDocs: map[string]*document{},
		segments: rule.File{}, segmentDocs: map[string]*document{},
		campaigns: mailer.CampaignFile{}, campaignDocs: map[string]*document{},
	}
	data, err := os.ReadFile(filepath.Join(l.dir, mainFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, Mistakes{{File: mainFile, Message: "there is no such file in " + l.dir, Want: "begin with `relance init`, or name the folder with --config DIR"}}
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", mainFile, err)
	}
	if f.mainDoc = l.parse(mainFile, data); f.mainDoc != nil {
		l.decode(f.mainDoc, &f.main, mainFile)
	}
	l.eachFile("shops", func(doc *document, name string) {
		var s Shop
		l.decode(doc, &s, "a shop's file")
		f.shops[name], f.shopDocs[name] = s, doc
	})
	f.broken = l.eachFile("segments", func(doc *document, _ string) {
		var part rule.File
		l.decode(doc, &part, "a file of segments")
		merge(l, doc, "segment", f.segments, part, f.segmentDocs)
	})
	l.eachFile("campaigns", func(doc *document, _ string) {
		var part mailer.CampaignFile
		l.decode(doc, &part, "a file of campaigns")
		merge(l, doc, "campaign", f.campaigns, part, f.campaignDocs)
	})
	return f, nil
}

func (l *loader) decode(doc *document, v any, what string) {
	d := &decoder{l: l, doc: doc}
	d.into(doc.root, reflect.ValueOf(v).Elem(), what)
}

// merge adds the definitions of one file to those of the others.
func merge[T any](l *loader, doc *document, what string, all, part map[string]T, docs map[string]*document) {
	for _, name := range slices.Sorted(maps.Keys(part)) {
		if other := docs[name]; other != nil {
			l.at(doc, keyNode(doc.root, name), fmt.Sprintf("%s %q is defined in %s too", what, name, other.name), "a name of its own: names are for ever")
			continue
		}
		all[name], docs[name] = part[name], doc
	}
}

func keyNode(root ast.Node, name string) ast.Node {
	if m, ok := root.(*ast.MappingNode); ok {
		for _, kv := range m.Values {
			if keyText(kv.Key) == name {
				return kv.Key
			}
		}
	}
	return root
}

// eachFile parses the YAML files of a folder in the order of their names; name is the file's without its ending.
func (l *loader) eachFile(folder string, use func(doc *document, name string)) (broken bool) {
	entries, err := os.ReadDir(filepath.Join(l.dir, folder))
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		l.whole(folder, "the folder cannot be read: "+cause(err), "a folder that this user may read")
		return true
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" {
			continue
		}
		rel := folder + "/" + e.Name()
		data, err := os.ReadFile(filepath.Join(l.dir, folder, e.Name()))
		if err != nil {
			l.whole(rel, "the file cannot be read: "+cause(err), "a file that this user may read")
			broken = true
			continue
		}
		if doc := l.parse(rel, data); doc != nil {
			use(doc, strings.TrimSuffix(e.Name(), ext))
		} else {
			broken = true
		}
	}
	return broken
}

// cause is an error without the path that it repeats.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
