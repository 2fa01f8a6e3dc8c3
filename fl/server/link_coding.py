"""What crosses the link in place of a payload, how many bytes it is, and what arrives.

Without codecs payloads arrive as they are. What is coded of an upload is the change to the tensors
that the client began from, where the method averages like-named tensors: both ends have these.
Other methods' uploads, and all downloads, are coded as values: a client need not have the version
before. Coding takes no simulated time and no energy [our choice: it reads a payload a few times,
which memory does in far less time than a radio sends it].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64

from fl.codecs import CodecConfig, selects
from fl.codecs.coding import Coder
from fl.methods.base import Method
from fl.network import Streams
from fl.payload import Payload, Tensors, agreed_bytes
from fl.privacy.secure_sum import setup_bytes
from fl.server.config import ServerOptions

_Flat = Float64[np.ndarray, " value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    """What secure aggregation makes of an upload, as far as bytes tell."""

    bits: int
    """Of a masked number."""
    num_clients: int
    """Clients that agree on masks."""

    def shapes(self, payload: Payload) -> Payload:
        """Return the masked payload without values."""
        dtype = {16: torch.int16, 32: torch.int32}[self.bits]
        tensors = payload.tensors
        return Payload(
            {name: torch.empty(tensors[name].shape, dtype=dtype, device="meta") for name in tensors}
        )


class LinkCoding:
    """Codes what server and clients of one run send each other.

    With error feedback a client adds what was left out of its earlier changes to the next one
    (Seide et al. 2014; Stich et al., arXiv:1809.07599). That residual is what has been left out of
    *merged* updates alone: one that was lost, late or left unmerged leaves it as it was, as if the
    client had not taken part, so the merged changes and the residual always sum to the changes that
    the merged jobs made.

    Parameters
    ----------
    uplink, downlink
        Codecs in the order in which they are applied; none: nothing is coded.
    names_agreed
        Whether names, shapes and types were agreed on before, and are not sent.
    streams
        Addressed randomness. Used: ``codec`` (direction, then client and number of its job for
        uplinks; version for downlinks, and client where clients are sent different tensors).
    codes_changes
        Whether uploads are changes of tensors that the client began from.
    same_download
        Whether all clients are sent the same.
    masking
        What secure aggregation adds; ``None``: nothing is masked.
    """

    def __init__(
        self,
        *,
        uplink: Sequence[CodecConfig],
        downlink: Sequence[CodecConfig],
        names_agreed: bool,
        streams: Streams,
        codes_changes: bool,
        same_download: bool,
        masking: Masking | None = None,
    ) -> None:
        self._masking = masking
        self._uplink = Coder(tuple(uplink)) if uplink else None
        self._downlink = Coder(tuple(downlink)) if downlink else None
        self._names_agreed = names_agreed
        self._streams = streams
        self._codes_changes = codes_changes
        self._same_download = same_download
        self._residuals: dict[int, dict[str, Float32[np.ndarray, " value"]]] = {}
        self._last: tuple[Payload, Payload] | None = None
        self._sizes: dict[object, int] = {}

    def upload_bytes(self, payload: Payload) -> int:
        """Return the bytes of an upload; shapes decide them, not values."""
        if self._masking is None:
            return self._bytes(payload, self._uplink)
        words = self._bytes(self._masking.shapes(payload), None)
        return words + setup_bytes(self._masking.num_clients)[0]

    def download_bytes(self, payload: Payload) -> int:
        """Return the bytes of a download to a client."""
        setup = 0 if self._masking is None else setup_bytes(self._masking.num_clients)[1]
        return self._bytes(payload, self._downlink) + setup

    def relay_bytes(self, payload: Payload) -> int:
        """Return the bytes of what a site and the server send each other, which is not coded."""
        return self._bytes(payload, None)

    def downloaded(self, payload: Payload, *, client_id: int, version: int) -> Payload:
        """Return what a client receives of what the server sends it.

        Of one payload it is the same object every time.
        """
        if self._downlink is None or _has_no_values(payload):
            return payload
        if self._last is not None and self._last[0] is payload:
            return self._last[1]
        address = (version,) if self._same_download else (version, client_id)
        values = {name: _flat(tensor) for name, tensor in _coded(payload.tensors)}
        got = self._pass(self._downlink, values, payload, self._streams("codec", 1, *address))
        received = Payload(_filled(payload.tensors, got))
        self._last = payload, received
        return received

    def uploaded(self, payload: Payload, *, base: Tensors, client_id: int, job_id: int) -> Payload:
        """Return what the server receives of an update that is merged; call it once an update.

        Parameters
        ----------
        payload
            What the client sends.
        base
            What it began from, by name.
        client_id
            Whose residual is added and replaced.
        job_id
            Addresses the rounding, with the client.
        """
        if self._uplink is None or _has_no_values(payload):
            return payload
        begun = {
            name: _flat(base[name])
            for name, _ in _coded(payload.tensors)
            if self._codes_changes and name in base
        }
        left = self._residuals.get(client_id, {})
        values = {}
        for name, tensor in _coded(payload.tensors):
            values[name] = _flat(tensor)
            if name in begun:
                values[name] = values[name] - begun[name]
                if name in left:
                    values[name] += left[name]
        rng = self._streams("codec", 0, client_id, job_id)
        got = self._pass(self._uplink, values, payload, rng)
        selection = self._uplink.selection
        if selection is not None and selection.error_feedback:
            rest = {name: (values[name] - got[name]).astype(np.float32) for name in begun}
            self._residuals[client_id] = {**left, **rest}
        whole = {name: got[name] + begun[name] if name in begun else got[name] for name in got}
        return Payload(_filled(payload.tensors, whole))

    def residual(self, client_id: int) -> dict[str, Float32[np.ndarray, " value"]]:
        """Return what has been left out of a client's merged changes, flat, by name."""
        return self._residuals.get(client_id, {})

    @staticmethod
    def _pass(
        coder: Coder, values: dict[str, _Flat], payload: Payload, rng: np.random.Generator
    ) -> dict[str, _Flat]:
        """Return what arrives of some values."""
        return coder.decode(coder.encode(values, payload.tensors, rng=rng), payload.tensors)

    def _bytes(self, payload: Payload, coder: Coder | None) -> int:
        if coder is None:
            return agreed_bytes(payload) if self._names_agreed else payload.size_bytes
        tensors = payload.tensors
        key = coder, tuple((name, tensors[name].dtype, tensors[name].shape) for name in tensors)
        if key not in self._sizes:
            self._sizes[key] = self._bytes(coder.shapes(payload), None)
        return self._sizes[key]


def coding_of(
    server: ServerOptions, method: Method, *, streams: Streams, num_clients: int
) -> LinkCoding:
    """Return what codes payloads, as the settings of the server have it.

    Raises
    ------
    ValueError
        If the method cannot be coded so.
    """
    is_mean = method.merges == "mean"
    if selects(server.uplink_codecs) and not is_mean:
        msg = (
            f"server.uplink_codecs: {method.kind} merges what it is sent by a rule of its own, not "
            "as changes of which some can be left out; got top_k, int8 would do"
        )
        raise ValueError(msg)
    secure, masking = server.secure_aggregation, None
    if secure is not None:
        if not is_mean:
            msg = (
                f"server.secure_aggregation: the server must read the updates of {method.kind} one "
                "by one, it merges them by a rule of its own; needs none"
            )
            raise ValueError(msg)
        masking = Masking(bits=secure.bits, num_clients=server.num_drawn or num_clients)
    return LinkCoding(
        masking=masking,
        uplink=server.uplink_codecs,
        downlink=server.downlink_codecs,
        names_agreed=server.tensor_names == "agreed",
        streams=streams,
        codes_changes=is_mean,
        same_download=method.same_download,
    )


def _coded(tensors: Tensors) -> list[tuple[str, torch.Tensor]]:
    """Return the tensors that codecs change, in order of name."""
    return [pair for pair in sorted(tensors.items()) if pair[1].is_floating_point()]


def _flat(tensor: torch.Tensor) -> _Flat:
    return tensor.detach().cpu().to(torch.float64).reshape(-1).numpy()


def _filled(tensors: Tensors, values: dict[str, _Flat]) -> Tensors:
    """Return tensors with new values, in the same order, shapes and types."""
    return {
        name: torch.from_numpy(values[name])
        .to(tensor.dtype)
        .reshape(tensor.shape)
        .to(tensor.device)
        if name in values
        else tensor
        for name, tensor in tensors.items()
    }


def _has_no_values(payload: Payload) -> bool:
    return any(tensor.is_meta for tensor in payload.tensors.values())
