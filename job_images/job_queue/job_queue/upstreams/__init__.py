"""Copies of what Monday.com and Jira hold."""
