from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HashingAlgorithm(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class BlockDataHashingStructure(_message.Message):
    __slots__ = ("width",)
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    width: int
    def __init__(self, width: _Optional[int] = ...) -> None: ...

class Consortium(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class Capabilities(_message.Message):
    __slots__ = ("capabilities",)
    class CapabilitiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Capability
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Capability, _Mapping]] = ...) -> None: ...
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    capabilities: _containers.MessageMap[str, Capability]
    def __init__(self, capabilities: _Optional[_Mapping[str, Capability]] = ...) -> None: ...

class Capability(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OrdererAddresses(_message.Message):
    __slots__ = ("addresses",)
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class Orderers(_message.Message):
    __slots__ = ("consenter_mapping",)
    CONSENTER_MAPPING_FIELD_NUMBER: _ClassVar[int]
    consenter_mapping: _containers.RepeatedCompositeFieldContainer[Consenter]
    def __init__(self, consenter_mapping: _Optional[_Iterable[_Union[Consenter, _Mapping]]] = ...) -> None: ...

class Consenter(_message.Message):
    __slots__ = ("id", "host", "port", "msp_id", "identity", "client_tls_cert", "server_tls_cert")
    ID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    MSP_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TLS_CERT_FIELD_NUMBER: _ClassVar[int]
    SERVER_TLS_CERT_FIELD_NUMBER: _ClassVar[int]
    id: int
    host: str
    port: int
    msp_id: str
    identity: bytes
    client_tls_cert: bytes
    server_tls_cert: bytes
    def __init__(self, id: _Optional[int] = ..., host: _Optional[str] = ..., port: _Optional[int] = ..., msp_id: _Optional[str] = ..., identity: _Optional[bytes] = ..., client_tls_cert: _Optional[bytes] = ..., server_tls_cert: _Optional[bytes] = ...) -> None: ...

class ConsensusType(_message.Message):
    __slots__ = ("type", "metadata", "state")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_NORMAL: _ClassVar[ConsensusType.State]
        STATE_MAINTENANCE: _ClassVar[ConsensusType.State]
    STATE_NORMAL: ConsensusType.State
    STATE_MAINTENANCE: ConsensusType.State
    TYPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    type: str
    metadata: bytes
    state: ConsensusType.State
    def __init__(self, type: _Optional[str] = ..., metadata: _Optional[bytes] = ..., state: _Optional[_Union[ConsensusType.State, str]] = ...) -> None: ...

class BatchSize(_message.Message):
    __slots__ = ("max_message_count", "absolute_max_bytes", "preferred_max_bytes")
    MAX_MESSAGE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ABSOLUTE_MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    PREFERRED_MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_message_count: int
    absolute_max_bytes: int
    preferred_max_bytes: int
    def __init__(self, max_message_count: _Optional[int] = ..., absolute_max_bytes: _Optional[int] = ..., preferred_max_bytes: _Optional[int] = ...) -> None: ...

class BatchTimeout(_message.Message):
    __slots__ = ("timeout",)
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    timeout: str
    def __init__(self, timeout: _Optional[str] = ...) -> None: ...

class ChannelRestrictions(_message.Message):
    __slots__ = ("max_count",)
    MAX_COUNT_FIELD_NUMBER: _ClassVar[int]
    max_count: int
    def __init__(self, max_count: _Optional[int] = ...) -> None: ...

class RaftConfigMetadata(_message.Message):
    __slots__ = ("consenters", "options")
    CONSENTERS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    consenters: _containers.RepeatedCompositeFieldContainer[RaftConsenter]
    options: RaftOptions
    def __init__(self, consenters: _Optional[_Iterable[_Union[RaftConsenter, _Mapping]]] = ..., options: _Optional[_Union[RaftOptions, _Mapping]] = ...) -> None: ...

class RaftConsenter(_message.Message):
    __slots__ = ("host", "port", "client_tls_cert", "server_tls_cert")
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_TLS_CERT_FIELD_NUMBER: _ClassVar[int]
    SERVER_TLS_CERT_FIELD_NUMBER: _ClassVar[int]
    host: str
    port: int
    client_tls_cert: bytes
    server_tls_cert: bytes
    def __init__(self, host: _Optional[str] = ..., port: _Optional[int] = ..., client_tls_cert: _Optional[bytes] = ..., server_tls_cert: _Optional[bytes] = ...) -> None: ...

class RaftOptions(_message.Message):
    __slots__ = ("tick_interval", "election_tick", "heartbeat_tick", "max_inflight_blocks", "snapshot_interval_size")
    TICK_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    ELECTION_TICK_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_TICK_FIELD_NUMBER: _ClassVar[int]
    MAX_INFLIGHT_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_INTERVAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    tick_interval: str
    election_tick: int
    heartbeat_tick: int
    max_inflight_blocks: int
    snapshot_interval_size: int
    def __init__(self, tick_interval: _Optional[str] = ..., election_tick: _Optional[int] = ..., heartbeat_tick: _Optional[int] = ..., max_inflight_blocks: _Optional[int] = ..., snapshot_interval_size: _Optional[int] = ...) -> None: ...

class BftOptions(_message.Message):
    __slots__ = ("request_batch_max_count", "request_batch_max_bytes", "request_batch_max_interval", "incoming_message_buffer_size", "request_pool_size", "request_forward_timeout", "request_complain_timeout", "request_auto_remove_timeout", "request_max_bytes", "view_change_resend_interval", "view_change_timeout", "leader_heartbeat_timeout", "leader_heartbeat_count", "collect_timeout", "sync_on_start", "speed_up_view_change", "leader_rotation", "decisions_per_leader")
    class Rotation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ROTATION_UNSPECIFIED: _ClassVar[BftOptions.Rotation]
        ROTATION_OFF: _ClassVar[BftOptions.Rotation]
        ROTATION_ON: _ClassVar[BftOptions.Rotation]
    ROTATION_UNSPECIFIED: BftOptions.Rotation
    ROTATION_OFF: BftOptions.Rotation
    ROTATION_ON: BftOptions.Rotation
    REQUEST_BATCH_MAX_COUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_BATCH_MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_BATCH_MAX_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    INCOMING_MESSAGE_BUFFER_SIZE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_POOL_SIZE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FORWARD_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_COMPLAIN_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_AUTO_REMOVE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    VIEW_CHANGE_RESEND_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    VIEW_CHANGE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    LEADER_HEARTBEAT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    LEADER_HEARTBEAT_COUNT_FIELD_NUMBER: _ClassVar[int]
    COLLECT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    SYNC_ON_START_FIELD_NUMBER: _ClassVar[int]
    SPEED_UP_VIEW_CHANGE_FIELD_NUMBER: _ClassVar[int]
    LEADER_ROTATION_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_PER_LEADER_FIELD_NUMBER: _ClassVar[int]
    request_batch_max_count: int
    request_batch_max_bytes: int
    request_batch_max_interval: str
    incoming_message_buffer_size: int
    request_pool_size: int
    request_forward_timeout: str
    request_complain_timeout: str
    request_auto_remove_timeout: str
    request_max_bytes: int
    view_change_resend_interval: str
    view_change_timeout: str
    leader_heartbeat_timeout: str
    leader_heartbeat_count: int
    collect_timeout: str
    sync_on_start: bool
    speed_up_view_change: bool
    leader_rotation: BftOptions.Rotation
    decisions_per_leader: int
    def __init__(self, request_batch_max_count: _Optional[int] = ..., request_batch_max_bytes: _Optional[int] = ..., request_batch_max_interval: _Optional[str] = ..., incoming_message_buffer_size: _Optional[int] = ..., request_pool_size: _Optional[int] = ..., request_forward_timeout: _Optional[str] = ..., request_complain_timeout: _Optional[str] = ..., request_auto_remove_timeout: _Optional[str] = ..., request_max_bytes: _Optional[int] = ..., view_change_resend_interval: _Optional[str] = ..., view_change_timeout: _Optional[str] = ..., leader_heartbeat_timeout: _Optional[str] = ..., leader_heartbeat_count: _Optional[int] = ..., collect_timeout: _Optional[str] = ..., sync_on_start: bool = ..., speed_up_view_change: bool = ..., leader_rotation: _Optional[_Union[BftOptions.Rotation, str]] = ..., decisions_per_leader: _Optional[int] = ...) -> None: ...

class AnchorPeers(_message.Message):
    __slots__ = ("anchor_peers",)
    ANCHOR_PEERS_FIELD_NUMBER: _ClassVar[int]
    anchor_peers: _containers.RepeatedCompositeFieldContainer[AnchorPeer]
    def __init__(self, anchor_peers: _Optional[_Iterable[_Union[AnchorPeer, _Mapping]]] = ...) -> None: ...

class AnchorPeer(_message.Message):
    __slots__ = ("host", "port")
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    host: str
    port: int
    def __init__(self, host: _Optional[str] = ..., port: _Optional[int] = ...) -> None: ...

class ACLs(_message.Message):
    __slots__ = ("acls",)
    class AclsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: APIResource
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[APIResource, _Mapping]] = ...) -> None: ...
    ACLS_FIELD_NUMBER: _ClassVar[int]
    acls: _containers.MessageMap[str, APIResource]
    def __init__(self, acls: _Optional[_Mapping[str, APIResource]] = ...) -> None: ...

class APIResource(_message.Message):
    __slots__ = ("policy_ref",)
    POLICY_REF_FIELD_NUMBER: _ClassVar[int]
    policy_ref: str
    def __init__(self, policy_ref: _Optional[str] = ...) -> None: ...
