from django import forms

from annotate.access import projects_of
from curation.access import EXPORTERS
from curation.models import Export


class ExportForm(forms.ModelForm):
    class Meta:
        model = Export
        fields = ["project", "test_share", "salt"]

    def __init__(self, *args, user, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.projects = projects_of(user, EXPORTERS)
        field = self.fields["project"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = self.projects
