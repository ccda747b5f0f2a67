"""pynetdicom as a receiver that writes the encoded bytes, as its maintainers advise.

`python -m bench.pynetdicom_receiver PORT FOLDER`
"""

import sys
from pathlib import Path

from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event

CT = "1.2.840.10008.5.1.4.1.1.2"


def main() -> None:
    """Serve until killed."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])

    def store(event: Event) -> int:
        request = event.request
        assert isinstance(request, C_STORE)
        uid = request.AffectedSOPInstanceUID
        (folder / f"{uid}.dcm").write_bytes(event.encoded_dataset())
        return 0x0000

    entity = AE(ae_title="PYNETDICOM")
    entity.maximum_pdu_size = 131072
    entity.maximum_associations = 100
    entity.add_supported_context(CT, "1.2.840.10008.1.2.1")
    entity.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, store)])


if __name__ == "__main__":
    main()
