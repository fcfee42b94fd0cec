"""Every change to what people judge. Verbs, keyword-only, one short transaction each.

projects     making projects, guidelines and memberships
presets      projects that are made of a preset
asking       questions and rules, in versions
abilities    what people know and agreed to see, and their teams
tasks        putting tasks in and opening their places
claims       giving tasks out
ledger       what becomes of them: drafts, answers, skipping, expiring; withdrawing, adding places, batches
reviews      written work: which is read, and what was decided
exchange     questions to the researchers, flags, one's own settings
imports      judgements that were made elsewhere
agreement    measuring and keeping snapshots
consensus    what judgements come to, kept; asking further people
adjudication what a reviewer decides where people disagree
tokens       API tokens

And what is read: judgements and preferences as labels, agreement_detail, beside, overview, desk, history.
"""
