# Says what the machine is: its system, its boot, and whether the Windows Update service can run.
$ErrorActionPreference = 'Stop'
$os = Get-CimInstance -ClassName Win32_OperatingSystem
$service = Get-Service -Name wuauserv -ErrorAction SilentlyContinue
$startup = if ($service) { [string]$service.StartType } else { 'missing' }
$info = New-Object -ComObject Microsoft.Update.SystemInfo
@{
    os = [string]$os.Caption
    boot = $os.LastBootUpTime.ToUniversalTime().ToString('yyyyMMddTHHmmssZ')
    service = $startup
    rebootRequired = [bool]$info.RebootRequired
} | ConvertTo-Json -Compress
