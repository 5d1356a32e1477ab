"""Sections of the page of results, a file each: ``section`` returns one as Markdown, of what is stored alone."""
