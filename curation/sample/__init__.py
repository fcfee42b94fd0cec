"""The sample content, written for Plumbline; `loading` puts it in."""
