# Downloads updates. $args[0] names a file of JSON: { "updates": [ { "id", "revision" } ] }.
$ErrorActionPreference = 'Stop'
$wish = Get-Content -Raw -Encoding UTF8 -LiteralPath $args[0] | ConvertFrom-Json
$session = New-Object -ComObject Microsoft.Update.Session
$searcher = $session.CreateUpdateSearcher()
$searcher.Online = $false
$wanted = @{}
foreach ($update in $wish.updates) { $wanted['{0}.{1}' -f $update.id, $update.revision] = $true }
$chosen = New-Object -ComObject Microsoft.Update.UpdateColl
foreach ($update in $searcher.Search('IsInstalled=0').Updates) {
    $key = '{0}.{1}' -f $update.Identity.UpdateID, $update.Identity.RevisionNumber
    if ($wanted.ContainsKey($key)) {
        if (-not $update.EulaAccepted) { $update.AcceptEula() }
        [void]$chosen.Add($update)
    }
}
if ($chosen.Count -eq 0) { @{ result = 2; missing = @($wanted.Keys); updates = @() } | ConvertTo-Json -Compress -Depth 4; exit 0 }
$downloader = $session.CreateUpdateDownloader()
$downloader.Updates = $chosen
$result = $downloader.Download()
$updates = @(for ($index = 0; $index -lt $chosen.Count; $index++) {
    $one = $result.GetUpdateResult($index)
    $identity = $chosen.Item($index).Identity
    [void]$wanted.Remove(('{0}.{1}' -f $identity.UpdateID, $identity.RevisionNumber))
    @{ id = [string]$identity.UpdateID; revision = [int]$identity.RevisionNumber
       result = [int]$one.ResultCode; hresult = ('0x{0:X8}' -f $one.HResult) }
})
@{ result = [int]$result.ResultCode; missing = @($wanted.Keys); updates = $updates } | ConvertTo-Json -Compress -Depth 4
