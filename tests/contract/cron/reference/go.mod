module scheduledtask.dev/tests/contract/cron/reference

go 1.21

require github.com/robfig/cron/v3 v3.0.1
