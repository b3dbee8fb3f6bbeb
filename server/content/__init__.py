"""What was written, made fit to show: text and HTML, quotes, attachments, excerpts.

Pure functions but for the blob directory. Nothing here knows the database, a bridge or a page.
"""
