# Windows' own automatic updates. $args[0] names a file of JSON: { "set": null | { "value": null | number } }.
# Always says what the policy was; sets it, or takes it away, if that is wished.
$ErrorActionPreference = 'Stop'
$wish = Get-Content -Raw -Encoding UTF8 -LiteralPath $args[0] | ConvertFrom-Json
$key = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU'
$name = 'NoAutoUpdate'
$before = $null
if (Test-Path -LiteralPath $key) { $before = (Get-ItemProperty -LiteralPath $key).$name }
if ($null -ne $wish.set) {
    if ($null -eq $wish.set.value) {
        if ($null -ne $before) { Remove-ItemProperty -LiteralPath $key -Name $name }
    } else {
        if (-not (Test-Path -LiteralPath $key)) { [void](New-Item -Path $key -Force) }
        [void](New-ItemProperty -LiteralPath $key -Name $name -PropertyType DWord -Value ([int]$wish.set.value) -Force)
    }
}
@{ before = $before } | ConvertTo-Json -Compress
