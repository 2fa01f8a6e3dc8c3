"""Settings are read and checked without importing torch."""

import subprocess
import sys

MODULES = (
    "fl.methods fl.server.rules fl.server.modes fl.clients.devices fl.policies fl.training.config"
)


def test_settings_import_no_torch():
    code = f"import sys, {', '.join(MODULES.split())}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
