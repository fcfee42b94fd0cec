"""The README's tour, as far as the browser goes; `make accept-sft` follows its commands too, in a fresh clone."""

import zipfile

from tests import tour


def test_the_tour_of_the_readme_leads_from_a_file_to_an_export(page, live_server, live_world, worker, tmp_path):
    live_world.users["mina"].set_password("as-the-demo-prints-it")
    live_world.users["mina"].save()
    script = next(tour.follow(page, live_server.url, {"mina": "as-the-demo-prints-it"}, tmp_path))
    (archive,) = tmp_path.glob("library-questions-sft-*.zip")
    names = zipfile.ZipFile(archive).namelist()
    assert any(name.endswith("/sft/train-00000-of-00001.parquet") for name in names)
    assert f"~/Downloads/{archive.name.rsplit('-', 1)[0]}-*.zip" in script
    for command in script.splitlines():
        assert not command.startswith("make") or command == "make trainers"
