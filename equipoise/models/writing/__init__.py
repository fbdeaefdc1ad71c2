"""Models whose target is text: templates, feeding, the writer, decoding."""
