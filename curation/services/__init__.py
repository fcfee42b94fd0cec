"""Every change to what goes in and out. Verbs, keyword-only.

blobs       files by their content
datasets    files in, tables out
templates   templates, one by one and by the file
instances   what they make of a dataset
stretches   rendering some of its rows; previews; exemplars
shards      rendering a large one by many workers
coverage    reports on instances
handover    instances that become tasks of a project
exports     requesting and building releases
training    what trainers report
"""
