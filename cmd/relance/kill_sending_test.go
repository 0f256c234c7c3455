package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer/sendgrid/sendgridtest"
)

// TestKilledWhileSending kills the real program with SIGKILL again and again while mails leave to a SendGrid that takes
// mails and breaks the connection, takes them and answers 5xx, asks to wait, and is slow. On MySQL two processes are at work:
// what one leaves behind is the other's when its leases have run out, and one is frozen past its leases with mails in flight
// and then thawed. Meanwhile signed events come back: some never, some up to 46 times, out of order, to whichever process
// answers. No mail is taken twice, none is lost, and what nobody can know is shown as unknown, unless an event told.
func TestKilledWhileSending(t *testing.T) {
	t.Parallel()
	binary := buildProgram(t)
	for _, c := range []struct {
		engine store.Dialect
		kills  int
	}{{store.SQLite, 8}, {store.MySQL, 3}} {
		t.Run(string(c.engine), func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d, %d kills", seed, c.kills)
			m := newMailing(t, binary, c.engine, rand.New(rand.NewPCG(seed, 2)), 70)
			m.begin()
			stopTelling := m.tellMeanwhile()
			for i := range c.kills {
				m.taken(m.expected() / 2 * (i + 1) / c.kills)
				m.killAndRestart()
			}
			if c.engine == store.MySQL {
				m.freezePastItsLease()
			}
			m.waitFor("every mail is settled", func(s status) bool { return settledSends(s) == m.expected() })
			stopTelling()
			m.waitFor("every event is heeded", func(s status) bool { return saidBack(s, "delivered") == len(m.told) })
			for _, v := range m.processes {
				v.stop()
			}
			m.judge()
		})
	}
}

// mailing is one installation without a shop to be read, its processes, and the SendGrid that they hand mails to.
type mailing struct {
	t         *testing.T
	processes []*victim // one, on MySQL two
	sg        *sendgridtest.SendGrid
	people    []string // addresses; each gets every step once

	mu       sync.Mutex
	rnd      *rand.Rand
	requests int           // that came in
	news     chan struct{} // closed when another came
	stuck    int           // requests that wait for release
	release  chan struct{} // nil: none has to wait
	told     map[string]bool
	silent   map[string]bool // mails of which no event is posted
	posts    map[int]int     // deliveries of events by answer
}

// mailingSteps are the mails that each contact gets, one after the other.
const mailingSteps = 3

func newMailing(t *testing.T, binary string, engine store.Dialect, rnd *rand.Rand, people int) *mailing {
	t.Helper()
	m := &mailing{
		t: t, sg: sendgridtest.New(t), rnd: rnd, news: make(chan struct{}), told: map[string]bool{}, silent: map[string]bool{}, posts: map[int]int{},
	}
	m.sg.Answer = m.answer
	for i := range people {
		m.people = append(m.people, fmt.Sprintf("person%d@example.com", i))
	}
	count := 1
	if engine == store.MySQL {
		count = 2
	}
	dsn, keys := servers.DSN(t, engine), t.TempDir()
	for range count {
		v := &victim{t: t, rnd: rnd, binary: binary, dir: t.TempDir(), dsn: dsn, public: freePort(t), admin: freePort(t), log: &bytes.Buffer{}}
		m.processes = append(m.processes, v)
		v.lay(map[string]string{
			"relance.yaml": fmt.Sprintf(`database: "%s"
public_url: https://relance.example.com
listen: {public: "%s", admin: "%s"}
log: {format: console, level: warn}
keys: {file: "%s/keys.json"}
audiences:
  default:
    title: Atelier
    from: bonjour@boutique.example.com
    postal_address: 12 rue des Ateliers, Bordeaux
    provider: sendgrid
    sendgrid: {api_key: SG.test, base_url: "%s", webhook_key: "%s"}
`, v.dsn, v.public, v.admin, keys, m.sg.URL(), m.sg.WebhookKey()),
			"shops/till.yaml": "platform: push\nzone: Europe/Paris\npush: {secrets: [\"" + tillSecret + "\"]}\n",
			"campaigns/campaigns.yaml": `asked:
  trigger: {event: asked}
  steps:
    - {id: first, send: {template: welcome}}
    - {id: second, send: {template: welcome_again}}
    - {id: third, send: {template: welcome}}
`,
		})
	}
	return m
}

// answer is the provider's mood, mail by mail. A mail is taken before its answer is given, which is when the program is killed.
func (m *mailing) answer([]sendgridtest.Mail) int {
	m.mu.Lock()
	wait, mood := time.Duration(m.rnd.Int64N(int64(120*time.Millisecond))), m.rnd.IntN(100)
	m.requests++
	close(m.news)
	m.news = make(chan struct{})
	release := m.release
	if release != nil {
		m.stuck++
	}
	m.mu.Unlock()
	if release != nil {
		<-release
		return 0
	}
	status := 0
	switch {
	case mood < 4:
		status = sendgridtest.Cut
	case mood < 8:
		status = -http.StatusServiceUnavailable
	case mood < 10:
		return http.StatusTooManyRequests
	case mood < 13:
		wait += time.Second
	}
	<-time.After(wait) // the answer of a slow provider
	return status
}

func (m *mailing) expected() int { return len(m.people) * mailingSteps }

// until waits for what requests to the provider bring about.
func (m *mailing) until(what string, done func() bool) {
	m.t.Helper()
	over := time.After(time.Minute)
	for {
		m.mu.Lock()
		ok, news := done(), m.news
		m.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-news:
		case <-over:
			m.t.Fatalf("waiting until %s: not within a minute", what)
		}
	}
}

// taken waits until so many requests have come to the provider.
func (m *mailing) taken(n int) {
	m.t.Helper()
	m.until(fmt.Sprintf("%d requests have come", n), func() bool { return m.requests >= n })
}

// begin starts the processes, arms the campaign, and lets everybody ask at once.
func (m *mailing) begin() {
	m.t.Helper()
	for _, v := range m.processes {
		v.start()
		v.waitUntil("it serves", func(status) bool { return true }) // the first one makes the tables
	}
	m.processes[0].command("campaign", "arm", "asked", "--yes")
	var records []string
	now := time.Now().Format(time.RFC3339Nano)
	for i, email := range m.people {
		records = append(records,
			fmt.Sprintf(`{"kind":"consent","id":"c%d","data":{"email":%q,"state":"granted","at":%q,"text":"Write to me.","source":"till 3"}}`, i, email, now),
			fmt.Sprintf(`{"kind":"event","id":"e%d","data":{"email":%q,"name":"asked","at":%q}}`, i, email, now))
	}
	m.push(records)
}

func (m *mailing) push(records []string) {
	m.t.Helper()
	body := []byte(`{"records":[` + strings.Join(records, ",") + `]}`)
	r, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, "http://"+m.processes[0].public+"/v1/shops/till/records", bytes.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	timestamp, signature := push.Sign(tillSecret, time.Now(), body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(push.HeaderTimestamp, timestamp)
	r.Header.Set(push.HeaderSignature, signature)
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer a.Body.Close()
	var said struct{ Applied, Rejected int }
	if err := json.NewDecoder(a.Body).Decode(&said); err != nil || said.Applied != len(records) {
		m.t.Fatalf("%d records were pushed: %d, %+v, %v", len(records), a.StatusCode, said, err)
	}
}

// sender is a process that holds lanes; the other one when there is none.
func (m *mailing) sender() *victim {
	m.t.Helper()
	if len(m.processes) == 1 {
		return m.processes[0]
	}
	held := map[*victim]int{}
	for _, v := range m.processes {
		held[v] = m.number("SELECT COUNT(*) FROM leases WHERE name LIKE 'lane:%' AND owner LIKE ? AND until_ms>"+store.MySQL.NowMillis(), fmt.Sprintf("%%/%d/%%", v.cmd.Process.Pid))
	}
	return slices.MaxFunc(m.processes, func(a, b *victim) int { return cmp.Compare(held[a], held[b]) })
}

// killAndRestart kills whoever sends, a moment after something was handed over.
func (m *mailing) killAndRestart() {
	m.t.Helper()
	v := m.sender()
	m.mu.Lock()
	moment := time.Duration(m.rnd.Int64N(int64(150 * time.Millisecond)))
	m.mu.Unlock()
	<-time.After(moment) // the moment is the point
	v.kill()
	v.start()
}

// freezePastItsLease stops a process with SIGSTOP while it holds mails in flight, lets the other one take its lanes over,
// and lets it go on: it finds answers to mails that are no longer its own, and thinks that it holds its lanes.
func (m *mailing) freezePastItsLease() {
	m.t.Helper()
	m.mu.Lock()
	at := m.requests
	m.mu.Unlock()
	m.taken(at + 1)
	frozen := m.sender()
	release := make(chan struct{})
	m.mu.Lock()
	m.release, m.stuck = release, 0
	m.mu.Unlock()
	m.until("mails are in flight", func() bool { return m.stuck > 0 })
	m.signal(frozen, syscall.SIGSTOP)
	m.mu.Lock()
	m.release, at = nil, m.requests
	m.mu.Unlock()
	m.taken(at + 10) // the other one sends
	m.signal(frozen, syscall.SIGCONT)
	close(release)
}

func (m *mailing) signal(v *victim, s syscall.Signal) {
	m.t.Helper()
	if err := v.cmd.Process.Signal(s); err != nil {
		m.t.Fatal(err)
	}
}

// tellMeanwhile posts events about every mail that was taken, as SendGrid does, until told to finish: then what is left
// follows.
func (m *mailing) tellMeanwhile() (finish func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		seen := 0
		for last := false; !last; {
			select {
			case <-over:
				last = true
			case <-time.After(200 * time.Millisecond): // a provider reports now and then
			}
			mails := m.sg.Mails()
			m.tell(mails[seen:])
			seen = len(mails)
		}
	})
	return func() { close(over); wg.Wait() }
}

// tell posts what became of mails: nothing of every fifth one, and the rest more than once and in any order.
func (m *mailing) tell(mails []sendgridtest.Mail) {
	var events []sendgridtest.Event
	m.mu.Lock()
	for _, mail := range mails {
		if !m.told[mail.SendID] && m.rnd.IntN(5) == 0 {
			m.silent[mail.SendID] = true
			continue
		}
		m.told[mail.SendID] = true
		repeats := 1 + m.rnd.IntN(3)
		if m.rnd.IntN(20) == 0 {
			repeats = 46 // the most that was seen
		}
		for _, kind := range []string{"processed", "delivered"} {
			events = append(events, slices.Repeat([]sendgridtest.Event{m.sg.Event(kind, mail, time.Now())}, repeats)...)
		}
	}
	m.rnd.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	m.mu.Unlock()
	for some := range slices.Chunk(events, 150) {
		m.post(sendgridtest.Body(m.t, some...))
	}
}

// post repeats a delivery until a process took it.
func (m *mailing) post(body []byte) {
	for i := 0; m.t.Context().Err() == nil; i++ {
		ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Second) // a frozen one does not answer
		status, err := m.sg.Post(ctx, "http://"+m.processes[i%len(m.processes)].public+"/events/default", body)
		cancel()
		m.mu.Lock()
		m.posts[status]++
		m.mu.Unlock()
		if err == nil && status == http.StatusOK {
			return
		}
		<-time.After(50 * time.Millisecond) // a provider waits before it repeats
	}
}

// waitFor asks the first process.
func (m *mailing) waitFor(what string, done func(status) bool) {
	m.t.Helper()
	m.processes[0].waitUntil(what, done)
}

func saidBack(s status, name string) int {
	for _, c := range s.Campaigns {
		for _, by := range c.CameBack {
			if by.Name == name {
				return by.Count
			}
		}
	}
	return 0
}

// judge compares the ledger that was left behind, and what is shown of it, with what the provider took.
func (m *mailing) judge() {
	m.t.Helper()
	arrived, asked := map[string]int{}, map[[2]string]int{}
	for _, mail := range m.sg.Mails() {
		arrived[mail.SendID]++
		asked[[2]string{mail.To, mail.Step}]++
	}
	for what, n := range asked {
		if n > 1 {
			m.t.Errorf("%s of %s was taken %d times", what[1], what[0], n)
		}
	}
	db, err := store.Open(m.t.Context(), store.Options{DSN: m.processes[0].dsn})
	if err != nil {
		m.t.Fatal(err)
	}
	defer db.Close()
	var sends []struct {
		ID                         int64
		Step, Email, State, Reason string
	}
	if err := db.Read().SelectContext(m.t.Context(), &sends,
		"SELECT s.id, s.step, c.email_norm AS email, s.state, s.reason FROM sends s JOIN contacts c ON c.id=s.contact_id"); err != nil {
		m.t.Fatal(err)
	}
	states := map[string]int{}
	rows := map[string]bool{}
	for _, s := range sends {
		id := sendID(s.ID)
		rows[s.Email+" "+s.Step] = true
		states[s.State]++
		states[strings.TrimSuffix(s.State+":"+s.Reason, ":")+" "]++
		switch n := arrived[id]; {
		case n > 1:
			m.t.Errorf("send %s was taken %d times", id, n)
		case s.State == "accepted" && n == 0:
			m.t.Errorf("send %s is accepted and was never taken", id)
		case s.State == "unknown" && m.told[id]:
			m.t.Errorf("send %s is unknown, though events told of it", id)
		case s.State != "accepted" && s.State != "unknown":
			m.t.Errorf("send %s is %s %s", id, s.State, s.Reason)
		}
		delete(arrived, id)
	}
	if len(rows) != m.expected() || len(sends) != m.expected() {
		m.t.Errorf("%d mails in the ledger, %d of them different; want %d", len(sends), len(rows), m.expected())
	}
	if len(arrived) > 0 {
		m.t.Errorf("mails that the ledger does not know: %v", arrived)
	}
	m.judgeShown(states)
	m.t.Logf("%d mails, %d requests, by state: %v; deliveries of events by answer: %v", m.expected(), m.requests, states, m.posts)
}

// judgeShown compares what the command line says with the ledger: what is not known is seen.
func (m *mailing) judgeShown(states map[string]int) {
	m.t.Helper()
	v := m.processes[0]
	out, err := exec.CommandContext(m.t.Context(), v.binary, "--config", v.dir, "campaign", "list", "--json").Output()
	var shown struct {
		Campaigns []struct {
			Sends    map[string]int
			CameBack map[string]int `json:"came_back"`
		}
	}
	if err != nil || json.Unmarshal(out, &shown) != nil || len(shown.Campaigns) != 1 {
		m.t.Fatalf("campaign list: %s, %v", out, err)
	}
	c := shown.Campaigns[0]
	for _, state := range []string{"accepted", "unknown"} {
		if c.Sends[state] != states[state] {
			m.t.Errorf("campaign list shows %d %s, the ledger has %d", c.Sends[state], state, states[state])
		}
	}
	if c.CameBack["delivered"] != len(m.told) {
		m.t.Errorf("campaign list shows %d delivered, of %d mails it was told", c.CameBack["delivered"], len(m.told))
	}
}
