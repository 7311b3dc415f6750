"""The messages of the interface, as a table of their fields: name:type=number, `[]` for a list, `{}` for a map of texts.

Source: KubeEdge staging/src/github.com/kubeedge/api/apis/dmi/v1beta1/api.proto. Kept by hand instead of generated code:
a message is a line. What a mapper can not be sent or asked by us is left out. Pure.
"""

from __future__ import annotations

from typing import Final, NamedTuple

PACKAGE: Final = "v1beta1"
SERVED: Final = f"{PACKAGE}.DeviceManagerService"
CALLED: Final = f"{PACKAGE}.DeviceMapperService"
ANY: Final = "Any"
"""A value of whatever type; only in maps."""

MESSAGES: Final = """
MapperRegisterRequest withData:bool=1 mapper:MapperInfo=2
MapperRegisterResponse modelList:[]DeviceModel=1 deviceList:[]Device=2
MapperInfo name:string=1 version:string=2 api_version:string=3 protocol:string=4 address:bytes=5 state:string=6
ReportDeviceStatusRequest deviceName:string=1 reportedDevice:DeviceStatus=2 deviceNamespace:string=3
ReportDeviceStatusResponse
ReportDeviceStatesRequest deviceName:string=1 deviceNamespace:string=2 state:string=3
ReportDeviceStatesResponse
DeviceModel name:string=1 spec:DeviceModelSpec=2 namespace:string=3
DeviceModelSpec properties:[]ModelProperty=1 commands:[]DeviceCommand=2
ModelProperty name:string=1 description:string=2 type:string=3 accessMode:string=4 minimum:string=5 maximum:string=6 unit:string=7
DeviceCommand name:string=1 url:string=2 method:string=3 status_code:[]string=4 parameters:[]string=5 response:bytes=6
Device name:string=1 spec:DeviceSpec=2 status:DeviceStatus=3 namespace:string=4
DeviceSpec deviceModelReference:string=1 protocol:ProtocolConfig=2 properties:[]DeviceProperty=3 methods:[]DeviceMethod=4
DeviceMethod name:string=1 description:string=2 propertyNames:[]string=3
DeviceProperty name:string=1 desired:TwinProperty=2 visitors:VisitorConfig=3 reportCycle:int64=4 collectCycle:int64=5 reportToCloud:bool=6 pushMethod:PushMethod=7
ProtocolConfig protocolName:string=1 configData:CustomizedValue=2
VisitorConfig protocolName:string=1 configData:CustomizedValue=2
CustomizedValue data:{}Any=1
PushMethod http:PushMethodHTTP=1 mqtt:PushMethodMQTT=2 otel:PushMethodOTEL=4 dbMethod:DBMethod=3 anomalyDetection:AnomalyDetection=5
PushMethodHTTP hostname:string=1 port:int64=2 requestpath:string=3 timeout:int64=4
PushMethodMQTT address:string=1 topic:string=2 qos:int32=3 retained:bool=4
PushMethodOTEL endpointURL:string=1
DBMethod influxdb2:DBMethodInfluxdb2=1 redis:DBMethodRedis=2 tdengine:DBMethodTDEngine=3 mysql:DBMethodMySQL=4
DBMethodInfluxdb2 influxdb2ClientConfig:Influxdb2ClientConfig=1 influxdb2DataConfig:Influxdb2DataConfig=2
Influxdb2DataConfig measurement:string=1 tag:{}string=2 fieldKey:string=3
Influxdb2ClientConfig url:string=1 org:string=2 bucket:string=3
DBMethodRedis redisClientConfig:RedisClientConfig=1
RedisClientConfig addr:string=1 db:int32=2 poolsize:int32=3 minIdleConns:int32=4
DBMethodTDEngine tdEngineClientConfig:TDEngineClientConfig=1
TDEngineClientConfig addr:string=1 dbname:string=2
DBMethodMySQL mysqlClientConfig:MySQLClientConfig=1
MySQLClientConfig addr:string=1 database:string=2 userName:string=3
AnomalyDetection data:{}Any=1
DeviceStatus twins:[]Twin=1 reportToCloud:bool=2 reportCycle:int64=3
Twin propertyName:string=1 observedDesired:TwinProperty=2 reported:TwinProperty=3
TwinProperty value:string=1 metadata:{}string=2
RegisterDeviceRequest device:Device=1
RegisterDeviceResponse deviceName:string=1 deviceNamespace:string=2
UpdateDeviceRequest device:Device=1
UpdateDeviceResponse
RemoveDeviceRequest deviceName:string=1 deviceNamespace:string=2
RemoveDeviceResponse
CreateDeviceModelRequest model:DeviceModel=1
CreateDeviceModelResponse deviceModelName:string=1 deviceModelNamespace:string=2
UpdateDeviceModelRequest model:DeviceModel=1
UpdateDeviceModelResponse
RemoveDeviceModelRequest modelName:string=1 modelNamespace:string=2
RemoveDeviceModelResponse
"""  # fmt: skip


class Field(NamedTuple):
    """One field. `kind` is a scalar of protobuf, `Any` or the name of a message."""

    name: str
    kind: str
    number: int
    repeated: bool
    mapped: bool


def message_fields() -> dict[str, list[Field]]:
    """The fields of each message."""
    table: dict[str, list[Field]] = {}
    for line in MESSAGES.strip().splitlines():
        name, *fields = line.split()
        table[name] = [_field(text) for text in fields]
    return table


def _field(text: str) -> Field:
    name, _, remainder = text.partition(":")
    kind, _, number = remainder.partition("=")
    plain = kind.removeprefix("[]").removeprefix("{}")
    return Field(name, plain, int(number), kind.startswith("[]"), kind.startswith("{}"))
