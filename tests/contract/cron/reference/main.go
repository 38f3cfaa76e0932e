// Command reference says what github.com/robfig/cron makes of schedules, for the tests to compare with.
//
// It reads lines of three fields with tabs between (the schedule as a JSON string, a time zone, a moment in RFC 3339)
// and answers each with one line: ERR where ParseStandard refuses the schedule, HANG where Next does not come back,
// or else the next -n slots in UTC; after the last one "never", or "stuck" where the next one would not be later.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

func main() {
	count := flag.Int("n", 5, "slots per line")
	patience := flag.Duration("patience", 30*time.Second, "how long to wait for one answer")
	flag.Parse()

	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines.Scan() {
		answer := make(chan string, 1)
		line := lines.Text()
		go func() { answer <- respond(line, *count) }()
		select {
		case text := <-answer:
			fmt.Fprintln(out, text)
		case <-time.After(*patience):
			fmt.Fprintln(out, "HANG")
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func respond(line string, count int) string {
	fields := strings.Split(line, "\t")
	var expression string
	must(json.Unmarshal([]byte(fields[0]), &expression))
	zone, err := time.LoadLocation(fields[1])
	must(err)
	moment, err := time.Parse(time.RFC3339Nano, fields[2])
	must(err)

	schedule, err := parse(expression)
	if err != nil {
		return "ERR"
	}
	// A CronJob's time zone reaches the library as that of the moment or as a TZ= prefix; the slots are the same.
	var slots []string
	for moment = moment.In(zone); len(slots) < count; {
		next := schedule.Next(moment)
		if next.IsZero() {
			return strings.Join(append(slots, "never"), " ")
		}
		if !next.After(moment) {
			return strings.Join(append(slots, "stuck"), " ")
		}
		slots = append(slots, next.UTC().Format(time.RFC3339))
		moment = next
	}
	return strings.Join(slots, " ")
}

// parse turns the library's panics into errors, as Kubernetes does.
func parse(expression string) (schedule cron.Schedule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return cron.ParseStandard(expression)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
