"""Every change to what people judge. Verbs, keyword-only, one short transaction each.

projects    making projects, guidelines and memberships
tasks       putting tasks in and opening their places
ledger      claiming, submitting, skipping, expiring
imports     judgements that were made elsewhere
agreement   measuring and keeping snapshots
tokens      API tokens
"""
