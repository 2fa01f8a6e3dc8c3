"""``python -m tools.site FOLDER``: build the site."""

import argparse
import sys
from pathlib import Path

from tools.site.build import build

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the documentation site.")
    parser.add_argument("folder", type=Path, help="where the site goes")
    parser.add_argument("--links", action="store_true", help="list the addresses of other sites")
    options = parser.parse_args()
    sys.exit(build(options.folder, list_links=options.links))
