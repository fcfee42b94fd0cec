"""The pages of this app. Who may see which follows from `curation.access`."""
