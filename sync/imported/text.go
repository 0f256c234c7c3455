package imported

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Encodings of lists, as people are told of them.
const (
	UTF8        = "UTF-8"
	UTF16       = "UTF-16"
	Windows1252 = "Windows-1252"
)

// text is a list's file: how its bytes are to be read, found out by looking at all of them.
type text struct {
	in        io.ReadSeeker
	encoding  string
	sum       string // SHA-256 of the bytes, hex
	delimiter rune
	skip      int // lines before the header: Excel's "sep=;"
}

// look reads the file once. Its errors say what to do; they are about the file as a whole.
func look(in io.ReadSeeker) (*text, error) {
	t := &text{in: in, encoding: UTF8}
	if err := t.scan(); err != nil {
		return nil, err
	}
	r, err := t.open()
	if err != nil {
		return nil, err
	}
	first, err := firstLine(r)
	if err != nil {
		return nil, err
	}
	if d, ok := strings.CutPrefix(strings.ToLower(first), "sep="); ok && utf8.RuneCountInString(d) == 1 {
		t.delimiter, _ = utf8.DecodeRuneInString(d)
		t.skip = 1
		return t, nil
	}
	t.delimiter = delimiterOf(first)
	return t, nil
}

// scan learns the encoding and the sum of the bytes.
func (t *text) scan() error {
	sum := sha256.New()
	r := bufio.NewReaderSize(io.TeeReader(t.in, sum), 64<<10)
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the list: %w", err)
	}
	switch {
	case len(head) == 0:
		return errors.New("the list is empty")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("\xD0\xCF\x11\xE0")):
		return errors.New(`this is an Excel workbook: save it as "CSV UTF-8" and import that`)
	case bytes.HasPrefix(head, []byte("\xFF\xFE")), bytes.HasPrefix(head, []byte("\xFE\xFF")):
		t.encoding = UTF16
	}
	lf, cr := false, false
	for {
		c, size, err := r.ReadRune()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading the list: %w", err)
		}
		lf, cr = lf || c == '\n', cr || c == '\r'
		switch {
		case t.encoding == UTF16:
		case c == 0:
			return errors.New("this is no text: a list is a CSV file")
		case c == utf8.RuneError && size == 1:
			t.encoding = Windows1252
		}
	}
	if cr && !lf {
		return errors.New("its lines end as on old Macintoshes: save it again with another program")
	}
	t.sum = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// open gives the text as UTF-8 from its beginning, without a byte order mark.
func (t *text) open() (*bufio.Reader, error) {
	if _, err := t.in.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("reading the list again: %w", err)
	}
	var e encoding.Encoding
	switch t.encoding {
	case UTF16:
		e = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
	case Windows1252:
		e = charmap.Windows1252
	default:
		e = unicode.UTF8BOM
	}
	return bufio.NewReaderSize(transform.NewReader(t.in, e.NewDecoder()), 64<<10), nil
}

const longestLine = 64 << 10

func firstLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || len(line) > longestLine {
		return "", errors.New("its first line is longer than a header can be")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the list: %w", err)
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// delimiterOf is what separates most columns of a header, a comma when there is but one.
func delimiterOf(header string) rune {
	best, most := ',', 0
	for _, d := range []rune{',', ';', '\t', '|'} {
		n, quoted := 0, false
		for _, c := range header {
			switch {
			case c == '"':
				quoted = !quoted
			case c == d && !quoted:
				n++
			}
		}
		if n > most {
			best, most = d, n
		}
	}
	return best
}

// rows hands the header and then each row, with the line that it begins on, to the two functions. What the CSV reader
// cannot read is handed over as bad.
func (t *text) rows(header func(names []string) error, row func(line int, cells []string, bad error) error) error {
	in, err := t.open()
	if err != nil {
		return err
	}
	for range t.skip {
		if _, err := in.ReadString('\n'); err != nil {
			return errors.New("the list has no header")
		}
	}
	r := csv.NewReader(in)
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = t.delimiter, -1, true
	r.TrimLeadingSpace = t.delimiter != '\t'
	names, err := r.Read()
	if err != nil {
		return errors.New("the list has no header that can be read")
	}
	if err := header(names); err != nil {
		return err
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		var line int
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			line, err = parse.StartLine+t.skip, parse.Err
		} else if err != nil {
			return fmt.Errorf("reading the list: %w", err)
		} else {
			line, _ = r.FieldPos(0)
			line += t.skip
		}
		if err := row(line, cells, err); err != nil {
			return err
		}
	}
}
