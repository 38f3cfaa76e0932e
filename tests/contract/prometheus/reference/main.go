// Command reference says what Prometheus itself makes of alerting rules and of expressions, for the tests.
//
// With the argument "rules" it reads a rules file from standard input and prints one line for each problem that
// Prometheus finds in it: expressions, templates, names, durations. With "expressions" it reads one expression a line
// and answers each with a line: the metrics that it selects with spaces between, or ERR and the reason. With "alert" it
// reads a JSON object (an expression, series as promtool writes them with a sample a minute, and minutes) and answers
// each minute with a line: the label sets that the expression has then.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

func main() {
	parse := parser.NewParser(parser.Options{})
	switch os.Args[1] {
	case "rules":
		content, err := io.ReadAll(os.Stdin)
		if err != nil {
			log.Fatal(err)
		}
		_, problems := rulefmt.Parse(content, false, model.UTF8Validation, parse, slog.Default())
		for _, problem := range problems {
			fmt.Println(problem)
		}
	case "expressions":
		lines := bufio.NewScanner(os.Stdin)
		for lines.Scan() {
			fmt.Println(respond(parse, lines.Text()))
		}
	case "alert":
		if err := alert(parse, os.Stdin); err != nil {
			log.Fatal(err)
		}
	}
}

func respond(parse parser.Parser, text string) string {
	expression, err := parse.ParseExpr(text)
	if err != nil {
		return "ERR " + strings.ReplaceAll(err.Error(), "\n", " ")
	}
	var names []string
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			names = append(names, selector.Name)
		}
		return nil
	})
	return strings.Join(names, " ")
}

func alert(parse parser.Parser, input io.Reader) error {
	var asked struct {
		Expression string
		Series     []string
		Minutes    []int
	}
	if err := json.NewDecoder(input).Decode(&asked); err != nil {
		return err
	}
	var known store
	for _, text := range asked.Series {
		metric, values, err := parse.ParseSeriesDesc(text)
		if err != nil {
			return err
		}
		series := promql.Series{Metric: metric}
		for minute, value := range values {
			if !value.Omitted {
				series.Floats = append(series.Floats, promql.FPoint{T: int64(minute) * 60_000, F: value.Value})
			}
		}
		known = append(known, series)
	}
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: slog.Default(), MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 90 * time.Second, Parser: parse,
	})
	for _, minute := range asked.Minutes {
		at := time.Unix(int64(minute)*60, 0)
		query, err := engine.NewInstantQuery(context.Background(), known, nil, asked.Expression, at)
		if err != nil {
			return err
		}
		vector, err := query.Exec(context.Background()).Vector()
		if err != nil {
			return err
		}
		var found []string
		for _, sample := range vector {
			found = append(found, sample.Metric.String())
		}
		slices.Sort(found)
		fmt.Println(strings.Join(found, " "))
	}
	return nil
}

// A store of series that is asked as Prometheus' own is.
type store []promql.Series

func (known store) Querier(from, to int64) (storage.Querier, error) {
	return querier{storage.NoopQuerier(), known}, nil
}

type querier struct {
	storage.Querier
	known store
}

func (asked querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, wanted ...*labels.Matcher) storage.SeriesSet {
	found := &selection{}
	for _, series := range asked.known {
		if matches(series.Metric, wanted) {
			found.series = append(found.series, series)
		}
	}
	return found
}

func matches(metric labels.Labels, wanted []*labels.Matcher) bool {
	return !slices.ContainsFunc(wanted, func(matcher *labels.Matcher) bool {
		return !matcher.Matches(metric.Get(matcher.Name))
	})
}

type selection struct {
	series []promql.Series
	next   int
}

func (found *selection) Next() bool {
	found.next++
	return found.next <= len(found.series)
}

func (found *selection) At() storage.Series {
	return promql.NewStorageSeries(found.series[found.next-1])
}
func (found *selection) Err() error                        { return nil }
func (found *selection) Warnings() annotations.Annotations { return nil }
