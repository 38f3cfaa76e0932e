"""The jobs of source_monitor: pages, feeds and PDF files watched for changes that matter to a reader."""
