"""One client's participation: download, compute, upload, in simulated time; it can be stopped."""

from collections.abc import Generator, Sequence
from typing import Any

import simpy

from fl.clients.work import Work
from fl.execution.executor import JobHandle
from fl.methods.base import Contribution, ServerState, server_part
from fl.network import TransferEvent
from fl.payload import Payload, Tensors
from fl.privacy.secure_sum import masking_flop
from fl.problems import during
from fl.rows import ClientRow
from fl.server.beginning import Beginning
from fl.server.client_steps import ClientSteps
from fl.server.computing import begin_computing
from fl.server.cost_twin import Charged
from fl.server.exchanging import Together, work_together
from fl.server.federation import Federation
from fl.training.exchange import Exchange, exchanges_of
from fl.training.job import Start, TrainJob, TrainResult
from fl.training.sample_privacy import Clipping


class Participation(ClientSteps):
    """A client at work on the server's present version; it begins when it is made.

    The job's inputs are fixed, and the job is submitted, when the download ends; its result is not
    asked for here. A method that sends nothing makes no transfer. Times are ``None`` until their
    step has ended.

    Parameters
    ----------
    federation
        The run.
    participation_id
        Its number; the rows of its transfers carry it too.
    client_id
        Who.
    round_id
        Round of the server, from 1.
    deadline_at_s
        Instant at which the caller will stop it as ``late``; its transfers get this time limit, as
        schedulers may go by it. ``None``: the network's own limit holds.
    seed_id
        Addresses the seed of its job, with the client; ``None``: the round, in which a client takes
        part once.
    broadcast
        The client's end of a running broadcast; ``None``: its download is sent here, if any.
    state
        What it works from; ``None``: the server's present state.
    at_edge
        Whether its site sends and receives, and the server does not.
    """

    def __init__(
        self,
        federation: Federation,
        *,
        participation_id: int,
        client_id: int,
        round_id: int,
        deadline_at_s: float | None = None,
        seed_id: int | None = None,
        broadcast: TransferEvent | None = None,
        state: ServerState | None = None,
        at_edge: bool = False,
    ) -> None:
        super().__init__(
            federation,
            client_id,
            participation_id=participation_id,
            deadline_at_s=deadline_at_s,
            transfer=broadcast,
            at_edge=at_edge,
        )
        self.round = round_id
        self.version = federation.state.version
        """Server version that the client works from."""
        self._state = federation.state if state is None else state
        self.download_s: float | None = None
        self.compute_s: float | None = None
        self.upload_s: float | None = None
        self._seed_id = round_id if seed_id is None else seed_id
        self._handle: JobHandle[TrainResult] | None = None  # once the update is received
        self._beginning: Beginning | None = None  # once its job has begun
        self._arrived: Payload | None = None  # what the server merges of it, once it does
        self._charged: Charged | None = None  # where costs are those of a larger architecture
        self._exchanged_up_s = 0.0  # uplink transfers within the job
        self._started_at_s = federation.now_s
        self._ended_at_s = federation.now_s
        federation.roster.begin(client_id, version=self.version)
        self.done = federation.env.process(self._run())
        self.done.callbacks.append(self._free)
        federation.presence.watch(self)

    @property
    def is_received(self) -> bool:
        """Whether the server has the update (or, without exchange, the client finished)."""
        return self.outcome == "received"

    def discard(self, outcome: str) -> None:
        """Leave a received update unmerged: its outcome becomes ``outcome:merge``.

        The client keeps what it trained for itself. No effect on what was not received.

        Parameters
        ----------
        outcome
            Why, in a word.
        """
        if self._handle is None:
            return
        federation, handle = self._federation, self._handle
        self._handle = None
        self.outcome = f"{outcome}:merge"
        federation.personal.leave_out(self.client_id, handle)
        if federation.twin is not None and self._charged is not None:
            federation.twin.keep_unsent(self._charged)

    @property
    def num_texts(self) -> int:
        """Training texts of the client."""
        return len(self._federation.shards[self.client_id].train)

    @property
    def clipping(self) -> Clipping | None:
        """What clipping met in the job of a received update; ``None`` where nothing is clipped."""
        return None if self._handle is None else self._handle.result().clipping

    @property
    def charged(self) -> Charged | None:
        """What it was charged for in place of its own tensors, once it has begun."""
        return self._charged

    def contribution(self) -> Contribution | None:
        """Return the received update for aggregation; ``None`` when the method sends nothing.

        Runs the job if nothing has yet.

        Raises
        ------
        ValueError
            If the update was not received.
        """
        if self._handle is None or self._beginning is None:
            msg = f"participation: must be received, client {self.client_id} is {self.outcome}"
            raise ValueError(msg)
        federation = self._federation
        with during(self._situation()):
            result = self._handle.result()
            federation.personal.work_out(self.client_id, self._handle)
            if self._arrived is None:
                self._arrived = self._arrived_of(self._beginning, result.tensors)
            payload = self._arrived
        if federation.twin is not None and self._charged is not None:
            federation.twin.keep(self._charged)
        if payload is None:
            return None
        return Contribution(
            client_id=self.client_id,
            payload=payload,
            weight=result.num_samples,
            staleness=federation.state.version - self.version,
            num_steps=result.num_steps,
            base=self._beginning.base,
        )

    def _arrived_of(self, beginning: Beginning, trained: Tensors) -> Payload | None:
        """Return what the server merges: what has arrived, and what it held of the job."""
        sent = beginning.upload_of(trained)
        if sent is not None:
            sent = self._federation.coding.uploaded(
                sent, base=beginning.base, client_id=self.client_id, job_id=self._seed_id
            )
        return beginning.update_of(sent, trained)

    def row(self, *, staleness: int, round_id: int | None = None) -> ClientRow:
        """Return the row of the finished participation; the loss is that of received updates.

        Parameters
        ----------
        staleness
            Aggregations between the version that it began from and that of its round.
        round_id
            Round that it counts in: where it was merged, or else where it ended; ``None``: where it
            began.
        """
        self._federation.presence.note_recorded(self)
        return ClientRow(
            participation_id=self.participation_id,
            round=self.round if round_id is None else round_id,
            client_id=self.client_id,
            outcome=self.outcome,
            download_s=self.download_s,
            compute_s=self.compute_s,
            upload_s=self.upload_s,
            compute_j=self.compute_j,
            radio_j=self.radio_j,
            wasted_j=0.0 if self.is_received else self.compute_j + self.radio_j,
            train_loss=self._train_loss(),
            staleness=staleness,
        )

    def _train_loss(self) -> float | None:
        """Return the mean loss of a received update; ``None`` if nothing was trained."""
        losses = self._losses()
        return None if losses is None else losses[0]

    def _losses(self) -> tuple[float, float] | None:
        """Return mean, and root mean square over texts, of the loss of a received update."""
        if self._handle is None or self._federation.is_timing_only:
            return None
        result = self._handle.result()
        return result.mean_loss, result.rms_loss

    def note(self, *, round_id: int) -> None:
        """Let the roster know what came of it; the job of a received update runs, if not yet.

        ``round_id`` is the round that it counts in.
        """
        self._federation.roster.end(
            self.client_id,
            round_id=round_id,
            duration_s=self._ended_at_s - self._started_at_s,
            spent_j=self.compute_j + self.radio_j,
            is_received=self.is_received,
            losses=self._losses(),
        )

    def _free(self, _: simpy.Event) -> None:
        self._federation.roster.free(self.client_id)

    def _run(self) -> Generator[simpy.Event, Any, None]:
        """Go through the three steps as a SimPy process, up to the first that fails."""
        with during(self._situation()):
            yield from self._steps()
        self._ended_at_s = self._federation.now_s

    def _situation(self) -> str:
        """Return whose participation this is, for messages about a method of a user's own."""
        return f"in round {self.round}, client {self.client_id}"

    def _steps(self) -> Generator[simpy.Event, Any, None]:
        federation = self._federation
        method, client_id = federation.method, self.client_id
        download = method.download(self._state, client_id=client_id)
        if federation.twin is not None:
            self._charged = federation.twin.charge(client_id)
        charged = self._charged
        if download is not None and federation.take_informed(client_id, version=self.version):
            self.download_s = 0.0  # it was asked for its loss of this version
        elif download is not None:
            paid = download if charged is None else charged.download or download
            size_bytes = federation.coding.download_bytes(paid)
            self.download_s = yield from self.send("downlink", size_bytes)
            if self.download_s is None:
                return
        if download is not None:
            download = federation.coding.downloaded(
                download, client_id=client_id, version=self.version
            )
        personal = federation.personal.of(client_id)
        beginning = federation.beginnings.begin(
            method,
            download,
            personal,
            version=self.version,
            at_server=server_part(method, self._state.tensors),
        )
        self._beginning = beginning
        handle = yield from self._compute(beginning.start)
        if handle is None:
            return
        # The shapes of the upload are those of its start: its size is known without the result.
        upload = beginning.upload
        if upload is not None:
            paid = upload if charged is None else charged.upload or upload
            size_bytes = federation.coding.upload_bytes(paid)
            upload_s = yield from self.send("uplink", size_bytes)
            if upload_s is None:
                federation.personal.keep_unsent(client_id, handle)
                if federation.twin is not None and charged is not None:
                    federation.twin.keep_unsent(charged)
                return
            self.upload_s = self._exchanged_up_s + upload_s
        _ = beginning.base
        self._handle = handle
        self.outcome = "received"
        federation.personal.keep_sent(client_id, handle)

    def _compute(self, start: Start) -> Generator[simpy.Event, Any, JobHandle[TrainResult] | None]:
        """Submit the job and let its seconds pass; return it, ``None`` if it was stopped."""
        federation, client_id = self._federation, self.client_id
        if self.is_stopped_in("compute"):
            return None
        shard, device = federation.shards[client_id], federation.devices[client_id]
        seed = federation.job_seed(client_id, self._seed_id)
        plan = federation.procedure.plan(shard.train, seed=seed)
        charged = start if self._charged is None else self._charged.start
        work = federation.procedure.work(plan, charged, federation.cost) + self._masking()
        exchanges = exchanges_of(federation.procedure, plan, charged, federation.cost)
        handle = federation.executor.submit(
            TrainJob(
                model_key=federation.worker.model_key,
                client_id=client_id,
                round=self.round,
                version=self.version,
                start=start,
                samples=shard.train,
                settings=federation.job_settings_at(self.version),
                seed=seed,
            ),
            flop=work.total_flop + sum(each.server_flop for each in exchanges),
        )
        whole_j = begin_computing(federation, client_id, work=work).whole_j
        federation.presence.check_job(client_id, whole_j, device=device.name)
        done = yield from self._go_through(work, exchanges)
        if done is None:
            handle.drop()
            return None
        self.compute_s = done.compute_s
        return handle

    def _masking(self) -> Work:
        """Return what masks of secure aggregation take to make."""
        config, beginning = self._federation.server.secure_aggregation, self._beginning
        if config is None or beginning is None:
            return Work()
        upload = beginning.upload if self._charged is None else self._charged.upload
        sizes = [] if upload is None else [each.numel() for each in upload.tensors.values()]
        count = self._federation.server.num_drawn or len(self._federation.shards)
        return Work(flop=masking_flop(sum(sizes), num_clients=count, bits=config.bits))

    def _go_through(
        self, work: Work, exchanges: Sequence[Exchange]
    ) -> Generator[simpy.Event, Any, Together | None]:
        """Let the job's seconds pass, on the device alone or with the server in between."""
        if not exchanges:
            compute_s = yield from self.work(work)
            return None if compute_s is None else Together(compute_s=compute_s)
        done = yield from work_together(
            exchanges, work=self.work, send=self.send, wait=self.wait_for_server
        )
        if done is not None:
            self._exchanged_up_s = done.uplink_s
            self.download_s = (self.download_s or 0.0) + done.downlink_s
        return done
