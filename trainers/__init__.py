"""Training on Plumbline's exports. Reads an export folder and nothing else of Plumbline: no Django, no database."""
