# Says which updates are not installed. $args[0] names a file of JSON: { "online": true|false }.
$ErrorActionPreference = 'Stop'
$wish = Get-Content -Raw -Encoding UTF8 -LiteralPath $args[0] | ConvertFrom-Json
$searcher = (New-Object -ComObject Microsoft.Update.Session).CreateUpdateSearcher()
$searcher.Online = [bool]$wish.online
$found = $searcher.Search("IsInstalled=0 and Type='Software'")
$updates = @(foreach ($update in $found.Updates) {
    @{
        id = [string]$update.Identity.UpdateID
        revision = [int]$update.Identity.RevisionNumber
        title = [string]$update.Title
        kb = @($update.KBArticleIDs | ForEach-Object { [string]$_ })
        severity = [string]$update.MsrcSeverity
        categories = @($update.Categories | ForEach-Object { [string]$_.CategoryID })
        hidden = [bool]$update.IsHidden
        asksUser = [bool]$update.InstallationBehavior.CanRequestUserInput
    }
})
$warnings = @(foreach ($warning in $found.Warnings) { [string]$warning.Message })
@{ result = [int]$found.ResultCode; updates = $updates; warnings = $warnings } | ConvertTo-Json -Compress -Depth 5
