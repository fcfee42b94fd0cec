"""Every change to what goes in and out. Verbs, keyword-only.

blobs       files by their content
exports     requesting and building releases
training    what trainers report
"""
