"""What every job needs: parameters, logs, progress, a clean stop, and exit codes that say whether to try again."""

from scheduledtask_sdk.jobs import Jobs
from scheduledtask_sdk.logs import Log, log
from scheduledtask_sdk.markers import Help, Secret, Setting
from scheduledtask_sdk.redaction import keep_secret
from scheduledtask_sdk.rules import BY_STATUS, Rule
from scheduledtask_sdk.run import Run
from scheduledtask_sdk.success import Success

__all__ = ["BY_STATUS", "Help", "Jobs", "Log", "Rule", "Run", "Secret", "Setting", "Success", "keep_secret", "log"]
