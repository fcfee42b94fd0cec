"""The REST API of what goes out, and of what trainers report back."""
