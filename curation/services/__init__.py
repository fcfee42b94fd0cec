"""Every change to what goes in and out. Verbs, keyword-only.

blobs       files by their content
datasets    files in, tables out
templates   templates, their previews, and what they make of a dataset
handover    instances that become tasks of a project
exports     requesting and building releases
training    what trainers report
"""
